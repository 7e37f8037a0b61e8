import { isUtf8 } from "node:buffer";
import { HttpError } from "../errors.ts";

/**
 * The text of bytes.
 *
 * @throws HttpError 400 for what is not UTF-8: read all the same, it would be another text than the one that was sent.
 */
export function textOf(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw notUtf8();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** The error of a body, or a part of it, whose text cannot be read. */
export function notUtf8(): HttpError {
  return new HttpError(400, "the body is not UTF-8", { code: "BODY_NOT_UTF8" });
}
