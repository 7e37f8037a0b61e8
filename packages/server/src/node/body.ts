import type { IncomingMessage } from "node:http";
import { StewardError } from "@steward/core";
import sjson from "secure-json-parse";
import { HttpError, InvalidInput } from "../errors.ts";
import { isMultipart } from "../forms/multipart-form.ts";
import { urlencodedFields } from "../forms/urlencoded-form.ts";
import { textOf } from "../inputs/text.ts";
import { FORM_TYPE, JSON_TYPE } from "../inputs/read.ts";

/** A body whose type the route does not take: whatever reads it says so. */
const OF_ANOTHER_TYPE = null;

/**
 * Reads the body of a request into memory: JSON or an urlencoded form. `undefined` where there is none.
 *
 * @param readAlready Gives its text, where somebody else has read it.
 * @throws HttpError 413 for a body that is longer than `maxBytes`, 415 for one that is compressed, 400 for one that is not UTF-8.
 * @throws {INPUT_INVALID} when it is not the JSON that it says it is.
 * @throws {CALL_ABORTED} when the client goes while it sends.
 */
export async function readBody(
  incoming: IncomingMessage,
  maxBytes: number,
  readAlready?: () => Promise<string>,
): Promise<unknown> {
  const { headers } = incoming;
  const type = headers["content-type"] ?? "";
  if (isMultipart(type)) return undefined; // the life of the request reads it
  const parser = JSON_TYPE.test(type) ? jsonOf : FORM_TYPE.test(type) ? urlencodedFields : undefined;
  if (parser === undefined) return hasBody(incoming) ? OF_ANOTHER_TYPE : undefined;
  const { "content-encoding": encoding = "identity" } = headers;
  if (encoding !== "identity") throw new HttpError(415, `a body in the encoding ${encoding} is not taken`);
  if (Number(headers["content-length"]) > maxBytes) throw tooLong(maxBytes);
  const text = await (readAlready?.() ?? bytesOf(incoming, maxBytes).then(textOf));
  return text === "" ? undefined : parser(text);
}

function hasBody({ headers, httpVersionMajor }: IncomingMessage): boolean {
  const length = headers["content-length"];
  if (length !== undefined) return length !== "0";
  return headers["transfer-encoding"] !== undefined || httpVersionMajor > 1;
}

function bytesOf(incoming: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= maxBytes) return void chunks.push(chunk);
      incoming.off("data", onData).pause();
      reject(tooLong(maxBytes));
    };
    const onGone = (): void => reject(new StewardError("CALL_ABORTED", "the client has gone while it sent the body"));
    if (incoming.destroyed) return onGone();
    incoming.on("data", onData);
    incoming.on("end", () => resolve(Buffer.concat(chunks)));
    incoming.on("error", onGone);
    incoming.on("close", onGone); // after its end it changes nothing
  });
}

/** The rest of the body is not read, so nothing else can come over this connection. */
function tooLong(maxBytes: number): HttpError {
  return new HttpError(413, `the body is longer than ${maxBytes} bytes`, { headers: { connection: "close" } });
}

function jsonOf(text: string): unknown {
  try {
    return sjson.parse(text);
  } catch (error) {
    throw malformedJson(error);
  }
}

/** The error of a JSON body that is none. @param error What the parser said. */
export function malformedJson(error: unknown): InvalidInput {
  const message = `JSON decode error: ${error instanceof Error ? error.message : "malformed"}`;
  return new InvalidInput([{ path: ["body"], code: "json_invalid", message }]);
}
