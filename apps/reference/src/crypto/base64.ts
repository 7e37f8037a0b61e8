import { ApiError } from "../problem.ts";

/**
 * The bytes of a field of the body, in base64 written the one right way.
 * @throws {ApiError} with status 400 otherwise.
 */
export function bytesIn(path: string, text: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  // Node skips what it does not know and takes several spellings; two texts must never be the same message.
  if (bytes.toString("base64") === text) return bytes;
  throw new ApiError(400, "the input is not valid", {
    errors: [{ path: `body.${path}`, message: "must be base64 with padding, without spaces" }],
  });
}
