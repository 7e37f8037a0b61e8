import { isStewardError } from "@steward/core";
import { HttpError, InvalidInput } from "@steward/fastify";

/**
 * The bytes of a field of the body, in base64 written the one right way.
 * @throws {InvalidInput} otherwise.
 */
export function bytesIn(field: string, text: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  // Node skips what it does not know and takes several spellings; two texts must never be the same message.
  if (bytes.toString("base64") === text) return bytes;
  const message = "String should be base64 with padding, without spaces";
  throw new InvalidInput([{ path: ["body", field], code: "base64", message }]);
}

/**
 * What callers learn when their message or signature is refused. A key id stands in the message in clear, so that
 * a key is unknown is no secret; whatever does not authenticate is one and the same answer.
 */
const REFUSALS: Readonly<Record<string, readonly [status: number, detail: string]>> = {
  CRYPTO_MESSAGE_INVALID: [400, "this is not a message of that backend"],
  CRYPTO_AUTHENTICATION_FAILED: [
    400,
    "this does not authenticate: message, associated data or key is not the one it was written with",
  ],
  CRYPTO_KEY_UNKNOWN: [404, "the key that the message names is not known"],
  CRYPTO_KEY_DISABLED: [409, "the key that the message names is disabled"],
  CRYPTO_KEY_DESTROYED: [410, "the key that the message names was destroyed; the message cannot be read any more"],
  CRYPTO_INPUT_TOO_LARGE: [413, "the input is too large for this backend"],
};

/** Runs `work` on input of the caller; what is refused then is the caller's, and is answered with its code. */
export async function onInput<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const [status, detail] = (isStewardError(error) && REFUSALS[error.code]) || [];
    if (status === undefined || detail === undefined || !isStewardError(error)) throw error;
    throw new HttpError(status, detail, { cause: error, code: error.code });
  }
}
