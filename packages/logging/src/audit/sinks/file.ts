import { mkdir, open, readdir, rename, stat, unlink, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { assertShape, required, shape, text, wholeNumber } from "@steward/core/driver";
import { auditError } from "../../errors.ts";
import { emptyChain, linkAll, type AuditDraft, type AuditHead, type Link, type StoredEntry } from "../chain/entry.ts";
import { lineOf, readAuditLine } from "../chain/line.ts";
import { firstSeq, linesOf, lastLine, timeOf } from "./file-ends.ts";
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
  /** Which file it is, whatever its path. */
  readonly inode: string;
  size: number;
  head: AuditHead;
}

class FileAudit implements AuditSink {
  readonly kind = "file";
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #inOrder = oneByOne();
  #opened: Opened | undefined;
  /** The last entry that was stored here: what follows it says so, whatever became of the file meanwhile. */
  #last: AuditHead | undefined;

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
    const files = await this.#inOrder(() => this.#openAll());
    let last = emptyChain(basename(this.#path));
    try {
      for (const { handle, size } of files) {
        if (size === 0) continue;
        const input = handle.createReadStream({ end: size - 1, autoClose: false });
        for await (const line of linesOf(input)) yield (last = storedIn(line, last));
      }
    } finally {
      await Promise.all(files.map(({ handle }) => handle.close()));
    }
  }

  /** All files as they are now: what is removed or begun while they are read changes nothing. */
  async #openAll(): Promise<readonly { readonly handle: FileHandle; readonly size: number }[]> {
    const { size } = await this.#ready();
    const paths = [...(await this.#old()), this.#path];
    const handles: FileHandle[] = [];
    try {
      for (const path of paths) handles.push(await open(path, "r"));
      const sizes = await Promise.all(handles.map((handle) => handle.stat()));
      return handles.map((handle, i) => ({ handle, size: i === handles.length - 1 ? size : (sizes[i]?.size ?? 0) }));
    } catch (error) {
      for (const handle of handles) await handle.close();
      throw error;
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
      // The newest first: what is left after a crash in between is a beginning, a hole that ends where the note says, and the rest.
      for (const path of gone.reverse()) await unlink(path);
      return through.seq - first + 1;
    });
  }

  async #append(drafts: readonly AuditDraft[], link: Link): Promise<void> {
    const opened = await this.#roomy(await this.#unchanged(await this.#ready()));
    const entries = await linkAll(drafts, opened.head, link);
    try {
      const bytes = Buffer.from(entries.map(lineOf).join(""));
      await opened.handle.appendFile(bytes);
      await opened.handle.datasync();
      opened.size += bytes.length;
      this.#last = opened.head = entries.at(-1) ?? opened.head;
    } catch (error) {
      await this.#close(); // the next one looks at what has arrived
      throw error;
    }
  }

  /**
   * What goes into a file that was removed is lost, and of two processes that write to one each breaks the chain of the
   * other. Both are said by an error; the next entry follows the last one that is known.
   */
  async #unchanged(opened: Opened): Promise<Opened> {
    const there = await stat(this.#path).catch(() => undefined);
    if (there !== undefined && inodeOf(there) === opened.inode && there.size === opened.size) return opened;
    await this.#close();
    const what = there === undefined ? "is gone" : "was changed by others";
    throw auditError(
      "AUDIT_FILE_CHANGED",
      `${this.#path}: ${what}; every process needs a file of its own, which nothing else writes or moves`,
    );
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
    const known = [head, this.#last, emptyChain(basename(this.#path))].filter((one) => one !== undefined);
    const [newest = emptyChain("")] = known.sort((a, b) => b.seq - a.seq);
    return { handle, inode: inodeOf(await handle.stat()), size, head: newest };
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

function inodeOf({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev} ${ino}`;
}

/** What a line holds. One that says the same in another form, such as a name twice, was not written by us. */
function storedIn(line: string, last: AuditHead): StoredEntry {
  const entry = readAuditLine(line);
  if (entry === undefined) return { chain: last.chain, seq: last.seq + 1, hash: "", text: line, seal: undefined };
  return lineOf(entry) === `${line}\n` ? entry : { ...entry, text: line };
}
