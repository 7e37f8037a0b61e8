import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { finished, Readable } from "node:stream";
import { systemClock } from "@steward/core";
import { Busboy, type BusboyInstance } from "@fastify/busboy";
import { bounded, toMemory, toNowhere, UploadFolder } from "./file-sinks.ts";
import { malformedForm, tooLarge } from "./form-errors.ts";
import { textOf } from "../inputs/text.ts";
import { boundsOf, type FormOptions, type WantedFile } from "./options.ts";
import { markFile, type FileStream, type StoredFile, type UploadedFile } from "./uploaded.ts";

/** What is a file without a name. */
const OCTETS = "application/octet-stream";
const MULTIPART = /^multipart\/form-data\s*(?:;|$)/i;
/** Headers of one part. */
const MAX_PART_HEADERS = 50;
const MAX_PART_HEADER_BYTES = 8 * 1024;

/** A file that has come whole. */
type WholeFile = UploadedFile | StoredFile;
/** What is known of a file before its bytes. */
type Head = Pick<FileStream, "filename" | "mimetype">;

/** Whether a body is a multipart form. */
export function isMultipart(type: string | undefined): boolean {
  return type !== undefined && MULTIPART.test(type);
}

/**
 * Reads a multipart form part by part. It is `read` when all of it has come, or when the file has begun that the handler
 * reads itself. Files that no input asks for are dropped as they come. It has to be closed in any case: what it wrote to
 * disk is removed then.
 */
export class MultipartForm {
  readonly #source: Readable;
  readonly #wanted: ReadonlyMap<string, WantedFile>;
  readonly #options: FormOptions;
  readonly #folder: UploadFolder;
  readonly #fields: Record<string, unknown> = Object.create(null) as Record<string, unknown>; // names come from the client
  /** Parts in their order. */
  readonly #taking: Promise<void>[] = [];
  #parser: BusboyInstance | undefined;
  #streamed: Readable | undefined;
  /** The part that comes now; they come one after the other. */
  #part: Readable | undefined;
  #reject: (error: Error) => void = () => {};
  #connection: Socket | undefined;
  readonly #whenGone = (): void => this.breakOff();
  #state: "reading" | "read" | "failed" | "closed" = "reading";

  constructor(source: Readable, wanted: ReadonlyMap<string, WantedFile>, options: FormOptions) {
    this.#source = source;
    this.#wanted = wanted;
    this.#options = options;
    this.#folder = new UploadFolder(options.directory);
  }

  /** Reads it. @throws HttpError 400 for what is no form or breaks off, 413 for what is over a bound. */
  async read(contentType: string): Promise<Readonly<Record<string, unknown>>> {
    try {
      await new Promise<void>((resolve, reject) => this.#begin(contentType, resolve, reject));
      await Promise.all(this.#taking);
    } catch (error) {
      this.#stop("failed");
      throw error;
    }
    if (this.#state === "reading") this.#state = "read";
    return { ...this.#fields };
  }

  #begin(contentType: string, resolve: () => void, reject: (error: Error) => void): void {
    this.#reject = reject;
    const { maxFiles, maxFields } = boundsOf(this.#options);
    const parser = this.#parserOf(contentType);
    if (parser === undefined || this.#source.readableEnded) return reject(malformedForm());
    this.#parser = parser;
    const count = { files: 0, fields: 0 };
    parser.on("file", (name = "", part, filename, _encoding, mimetype) => {
      this.#part = part;
      part.on("error", () => {}); // its reader gets it; there may be none
      const isField = filename === undefined && mimetype !== OCTETS;
      if (isField ? ++count.fields > maxFields : ++count.files > maxFiles)
        return reject(tooLarge(`the form has more than ${isField ? `${maxFields} fields` : `${maxFiles} files`}`));
      const taking = isField
        ? this.#takeField(name, part)
        : this.#take(name, part, { filename: filename ?? "", mimetype }, resolve);
      taking.catch(reject);
    });
    parser.on("partsLimit", () => reject(tooLarge(`the form has more than ${maxFiles + maxFields} parts`)));
    parser.on("error", () => this.breakOff());
    parser.on("finish", resolve);
    finished(this.#source, { writable: false }, (error) => {
      if (error !== undefined && error !== null) this.breakOff();
    });
    this.#source.pipe(parser);
  }

  /** No more of it comes: who reads it, or its file, gets the error. */
  breakOff(): void {
    this.#reject(malformedForm());
    if (this.#streamed?.readableEnded === false) this.#part?.destroy(malformedForm()); // its reader may wait for more
    this.#streamed?.destroy(malformedForm());
  }

  /** The response is over, after which Node does not say that its client goes: what still comes has until a deadline. */
  outlive(request: IncomingMessage, deadline: number): void {
    if (systemClock.now() >= deadline) return this.breakOff();
    if (request.httpVersionMajor > 1) return; // a stream of http2 says it itself, and has no connection any more
    const { socket } = request;
    if (socket.destroyed) return this.breakOff();
    this.#connection = socket.once("close", this.#whenGone);
  }

  #parserOf(contentType: string): BusboyInstance | undefined {
    const { maxFiles, maxFields } = boundsOf(this.#options);
    try {
      return new Busboy({
        headers: { "content-type": contentType },
        isPartAFile: () => true, // the text of fields is read here: the parser would make one of any bytes
        limits: {
          parts: maxFiles + maxFields,
          headerPairs: MAX_PART_HEADERS,
          headerSize: MAX_PART_HEADER_BYTES,
        },
      });
    } catch {
      return undefined; // it has no boundary
    }
  }

  /** Fields of one name are a list, as they came. */
  #put(name: string, value: unknown): void {
    const before = this.#fields[name];
    this.#fields[name] = before === undefined ? value : [before, value].flat();
  }

  async #takeField(name: string, part: Readable): Promise<void> {
    const { maxFieldBytes } = boundsOf(this.#options);
    const taking = toMemory(bounded(part as AsyncIterable<Buffer>, `field "${name}"`, maxFieldBytes)).then((bytes) =>
      this.#put(name, textOf(bytes)),
    );
    this.#taking.push(taking);
    await taking;
  }

  async #take(name: string, file: Readable, head: Head, ready: () => void): Promise<void> {
    const wanted = this.#wanted.get(name);
    const bytes = bounded(
      file as AsyncIterable<Buffer>,
      `file "${name}"`,
      wanted?.maxBytes ?? boundsOf(this.#options).maxFileBytes,
    );
    if (wanted?.target === "handler") {
      this.#streamed = Readable.from(bytes, { objectMode: false });
      this.#streamed.once("close", () => this.#goOn());
      this.#streamed.on("error", () => {}); // the handler may not read it
      this.#put(name, markFile({ ...head, stream: this.#streamed }, "handler"));
      return ready();
    }
    const taking = this.#takeWhole(name, bytes, head, wanted?.target);
    this.#taking.push(taking);
    await taking;
  }

  async #takeWhole(
    name: string,
    bytes: AsyncIterable<Buffer>,
    head: Head,
    target: "memory" | "disk" | undefined,
  ): Promise<void> {
    if (target === undefined) return toNowhere(bytes);
    const file: WholeFile =
      target === "disk"
        ? { ...head, ...(await this.#folder.write(bytes)) }
        : { ...head, content: await toMemory(bytes) };
    this.#put(name, markFile(file, target));
  }

  /** The handler has done with its file: what is left of the form passes by. */
  #goOn(): void {
    if (this.#streamed?.readableEnded !== true) this.#stop("failed");
  }

  /** Reads no further; the rest of the body is let pass, so that the client learns the answer. */
  #stop(state: "failed" | "closed"): void {
    if (this.#state === "closed") return;
    this.#state = state;
    if (this.#parser !== undefined) this.#source.unpipe(this.#parser);
    this.#part?.destroy(); // the parser would leave it open
    this.#source.resume();
  }

  /** Ends it: nothing of it is left, in memory or on disk. */
  async close(): Promise<void> {
    this.#stop("closed");
    this.#connection?.off("close", this.#whenGone);
    this.#streamed?.destroy();
    this.#parser?.destroy();
    await Promise.allSettled(this.#taking);
    await this.#folder.remove();
  }
}
