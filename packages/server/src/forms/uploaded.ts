import type { Readable } from "node:stream";
import type { FileTarget } from "./options.ts";

/** What is known of a file before its bytes. */
interface FileHead {
  /** The name that the client gave it; never use it as a path. */
  readonly filename: string;
  /** The type that the client gave it; its bytes may say otherwise. */
  readonly mimetype: string;
}

/** A file that was uploaded, held in memory. */
export interface UploadedFile extends FileHead {
  readonly content: Buffer;
}

/** A file that was uploaded to disk. It is removed when the request is over: move it to keep it. */
export interface StoredFile extends FileHead {
  /** Where it is. Its name is ours, not the client's. */
  readonly path: string;
  readonly bytes: number;
}

/** A file that is being uploaded, for the handler to read. */
export interface FileStream extends FileHead {
  /** Its bytes. It fails with an `HttpError` 413 for a file that is too long, and 400 for a form that breaks off. */
  readonly stream: Readable;
}

/** What a handler gets of a file. */
export type FileOf<Target> = Target extends "disk" ? StoredFile : Target extends "handler" ? FileStream : UploadedFile;

const made = new WeakMap<object, FileTarget>();

/** Marks what a form brought: nothing that a client writes can look like it. */
export function markFile<F extends UploadedFile | StoredFile | FileStream>(file: F, target: FileTarget): F {
  made.set(file, target);
  return file;
}

/** Whether a form brought it, to that place. */
export function isFile(value: unknown, target: FileTarget): boolean {
  return typeof value === "object" && value !== null && made.get(value) === target;
}
