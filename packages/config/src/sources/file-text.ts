import { isUtf8 } from "node:buffer";
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { assertShape, required, shape, text, type Shape } from "@steward/core/driver";
import { MAX_BYTES, positionOf, type Position } from "./syntax.ts";

/** What makes a file none that can be read as text. Its words go on from the name of the file. */
export class TextFault extends Error {
  readonly at: Position | undefined;

  constructor(message: string, at?: Position) {
    super(message);
    this.at = at;
  }
}

const pathShape: Shape<{ readonly path: string }> = /* @__PURE__ */ shape<{ readonly path: string }>(() => ({
  path: required(text()),
}));

/** @throws {OPTIONS_INVALID} for what is no path. */
export function assertPath(path: string): void {
  assertShape("a source of settings", pathShape, { path });
}

/** Where a pipe has nothing to read, it is looked at again after this time, in ms. */
const LOOK_AGAIN_MS = 20;

/**
 * The text of a file, without a byte order mark. It reads no more than it may keep, whatever stands at the path: a size
 * says nothing of a device or a pipe. Bytes that are no text would else become another text in silence.
 *
 * @param signal Ends the wait for a pipe that no one writes to.
 * @throws TextFault
 */
export async function readText(file: string, signal: AbortSignal): Promise<string> {
  const bytes = await bytesOf(file, signal);
  if (bytes.length > MAX_BYTES) throw new TextFault(`is larger than ${MAX_BYTES} bytes; is it the right file?`);
  const content = bytes.toString("utf8");
  if (!isUtf8(bytes)) throw new TextFault("is not text in UTF-8", positionOf(content, content.indexOf("\uFFFD")));
  return content.replace(/^\uFEFF/, "");
}

/**
 * A pipe that no one writes to would hold one of the few threads that read files for ever, and with four of them the
 * process could read nothing more, nor end. So nothing blocks: what has nothing yet is looked at again.
 */
async function bytesOf(file: string, signal: AbortSignal): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)); // Windows has none
  try {
    const isPipe = (await handle.stat()).isFIFO();
    const chunks: Buffer[] = [];
    for (let size = 0; size <= MAX_BYTES;) {
      const read = await someOf(handle, MAX_BYTES + 1 - size);
      if (read === undefined || (isPipe && size + read.length === 0)) {
        await setTimeout(LOOK_AGAIN_MS, undefined, { signal });
        continue;
      }
      if (read.length === 0) break;
      chunks.push(read);
      size += read.length;
    }
    return Buffer.concat(chunks);
  } finally {
    await handle.close();
  }
}

/** The next bytes: none at the end, `undefined` where there are none yet. */
async function someOf(handle: FileHandle, most: number): Promise<Buffer | undefined> {
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(Math.min(most, 64 * 1024)));
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EAGAIN") return undefined;
    throw error;
  }
}
