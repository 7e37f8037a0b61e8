import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HttpError } from "../errors.ts";
import { malformedForm, tooLarge } from "./form-errors.ts";

/** The bytes of a part, no more of them than may be. @param what Names it, such as `file "clip"`. @throws HttpError 413 above that, 400 where the form breaks off. */
export async function* bounded(source: AsyncIterable<Buffer>, what: string, maxBytes: number): AsyncGenerator<Buffer> {
  let bytes = 0;
  try {
    for await (const chunk of source) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) throw tooLarge(`the ${what} is longer than ${maxBytes} bytes`);
      yield chunk;
    }
  } catch (error) {
    throw error instanceof HttpError ? error : malformedForm();
  }
}

/** Collects a file. */
export async function toMemory(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Lets a file pass by. */
export async function toNowhere(source: AsyncIterable<Buffer>): Promise<void> {
  for await (const _ of source);
}

/** A folder for the files of one form, made with the first of them. */
export class UploadFolder {
  readonly #parent: string;
  #made: Promise<string> | undefined;
  #files = 0;

  constructor(parent: string = tmpdir()) {
    this.#parent = parent;
  }

  /** Writes a file under a name of ours, for this user alone. */
  async write(source: AsyncIterable<Buffer>): Promise<{ readonly path: string; readonly bytes: number }> {
    const path = join(await (this.#made ??= mkdtemp(join(this.#parent, "steward-upload-"))), String(++this.#files));
    const file = await open(path, "wx", 0o600);
    let bytes = 0;
    try {
      for await (const chunk of source) {
        await file.write(chunk);
        bytes += chunk.byteLength;
      }
    } finally {
      await file.close();
    }
    return { path, bytes };
  }

  /** Removes it with everything in it. */
  async remove(): Promise<void> {
    if (this.#made === undefined) return;
    const path = await this.#made.catch(() => undefined); // where it could not be made there is none
    if (path !== undefined) await rm(path, { recursive: true, force: true });
  }
}
