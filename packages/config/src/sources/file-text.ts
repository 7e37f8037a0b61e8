import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { MAX_BYTES, positionOf, type Position } from "./syntax.ts";

/** What makes a file none that can be read as text. Its words go on from the name of the file. */
export class TextFault extends Error {
  readonly at: Position | undefined;

  constructor(message: string, at?: Position) {
    super(message);
    this.at = at;
  }
}

/**
 * The text of a file, without a byte order mark. It reads no more than it may keep, whatever stands at the path: a size
 * says nothing of a device or a pipe. Bytes that are no text would else become another text in silence.
 *
 * @throws TextFault
 */
export async function readText(file: string): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(file, { end: MAX_BYTES })) chunks.push(chunk as Buffer); // it has no encoding
  const bytes = Buffer.concat(chunks);
  if (bytes.length > MAX_BYTES) throw new TextFault(`is larger than ${MAX_BYTES} bytes; is it the right file?`);
  const text = bytes.toString("utf8");
  if (!isUtf8(bytes)) throw new TextFault("is not text in UTF-8", positionOf(text, text.indexOf("\uFFFD")));
  return text.replace(/^\uFEFF/, "");
}
