import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, unlink, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { assertShape, required, shape, text, wholeNumber } from "@steward/core/driver";
import { emptyChain, linkAll, type AuditDraft, type AuditHead, type Link, type StoredEntry } from "../chain/entry.ts";
import { lineOf, readAuditLine } from "../chain/line.ts";
import { firstSeq, lastLine, timeOf } from "./file-ends.ts";
import { noTransaction, oneByOne } from "./order.ts";
import type { AuditSink, TrimNote } from "./sink.ts";

/** How {@link fileAudit} is made. */
export interface FileAuditOptions {
  /** The file that is written, one for each process. Full ones stand beside it, with the number of their last entry. */
  readonly path: string;
  /** Size at which the next file begins, in bytes. Default 64 MiB. */
  readonly maxBytes?: number | undefined;
}

const FILE_AUDIT = shape<FileAuditOptions>(() => ({ path: required(text()), maxBytes: wholeNumber(1) }));

/**
 * Keeps entries in a file, one line of JSON each. An event counts as stored when it is on the disk (fdatasync). What a
 * crash has left of a line is removed at the next start: no one was answered for it.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function fileAudit(options: FileAuditOptions): AuditSink {
  assertShape("fileAudit", FILE_AUDIT, options);
  return new FileAudit(options.path, options.maxBytes ?? 64 * 1024 * 1024);
}

interface Opened {
  readonly handle: FileHandle;
  size: number;
  head: AuditHead;
}

class FileAudit implements AuditSink {
  readonly kind = "file";
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #inOrder = oneByOne();
  #opened: Opened | undefined;

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  open(): Promise<void> {
    return this.#inOrder(async () => void (await this.#ready()));
  }

  close(): Promise<void> {
    return this.#inOrder(() => this.#close());
  }

  append(drafts: readonly AuditDraft[], link: Link, within?: object): Promise<void> {
    if (within !== undefined) return Promise.reject(noTransaction("a file"));
    return this.#inOrder(() => this.#append(drafts, link));
  }

  async *entries(): AsyncIterable<StoredEntry> {
    const { size, old } = await this.#inOrder(async () => ({ ...(await this.#ready()), old: await this.#old() }));
    let last = emptyChain(basename(this.#path));
    for (const [path, end] of [...old.map((path) => [path] as const), [this.#path, size] as const]) {
      if (end === 0) continue;
      const stream = createReadStream(path, end === undefined ? {} : { end: end - 1 });
      for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
        const broken = { chain: last.chain, seq: last.seq + 1, hash: "", text: line, seal: undefined };
        const entry = readAuditLine(line) ?? broken;
        yield entry;
        last = entry;
      }
    }
  }

  trim(beforeMs: number, note: TrimNote, link: Link): Promise<number> {
    return this.#inOrder(async () => {
      const gone: string[] = [];
      let through: AuditHead | undefined;
      for (const path of await this.#old()) {
        const last = await lastLine(path);
        if (last.entry === undefined || timeOf(last.entry) >= beforeMs) break;
        gone.push(path);
        through = last.entry;
      }
      if (through === undefined) return 0;
      const first = (await firstSeq(gone[0] ?? "")) ?? through.seq;
      await this.#append([note(through)], link);
      for (const path of gone) await unlink(path);
      return through.seq - first + 1;
    });
  }

  async #append(drafts: readonly AuditDraft[], link: Link): Promise<void> {
    const opened = await this.#roomy(await this.#ready());
    const entries = await linkAll(drafts, opened.head, link);
    try {
      const bytes = Buffer.from(entries.map(lineOf).join(""));
      await opened.handle.appendFile(bytes);
      await opened.handle.datasync();
      opened.size += bytes.length;
      opened.head = entries.at(-1) ?? opened.head;
    } catch (error) {
      await this.#close(); // the next one looks at what has arrived
      throw error;
    }
  }

  async #ready(): Promise<Opened> {
    return (this.#opened ??= await this.#open());
  }

  async #open(): Promise<Opened> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const handle = await open(this.#path, "a+", 0o600);
    try {
      return await this.#goOn(handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #goOn(handle: FileHandle): Promise<Opened> {
    const { entry, size } = await lastLine(this.#path);
    await handle.truncate(size);
    const before = entry === undefined ? (await this.#old()).at(-1) : undefined;
    const head = entry ?? (before === undefined ? undefined : (await lastLine(before)).entry);
    return { handle, size, head: head ?? emptyChain(basename(this.#path)) };
  }

  async #roomy(opened: Opened): Promise<Opened> {
    if (opened.size < this.#maxBytes) return opened;
    await this.#close();
    await rename(this.#path, `${this.#path}.${String(opened.head.seq).padStart(16, "0")}`);
    return this.#ready();
  }

  async #close(): Promise<void> {
    const { handle } = this.#opened ?? {};
    this.#opened = undefined;
    await handle?.close();
  }

  /** Full files, oldest first. */
  async #old(): Promise<readonly string[]> {
    const name = `${basename(this.#path)}.`;
    const files = await readdir(dirname(this.#path));
    const own = files.filter((file) => file.startsWith(name) && /^\d{16}$/.test(file.slice(name.length)));
    return own.sort().map((file) => join(dirname(this.#path), file));
  }
}
