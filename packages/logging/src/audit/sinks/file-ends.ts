import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { auditError } from "../../errors.ts";
import type { AuditEntry, StoredEntry } from "../chain/entry.ts";
import { readAuditLine } from "../chain/line.ts";

/**
 * The last whole line of a file, and the bytes up to its end.
 * @throws {AUDIT_FILE_INVALID} when that line is no entry.
 */
export async function lastLine(
  path: string,
): Promise<{ readonly entry: StoredEntry | undefined; readonly size: number }> {
  const handle = await open(path, "r");
  try {
    let { size } = await handle.stat();
    let tail = Buffer.alloc(0);
    for (let at = size; at > 0;) {
      const length = Math.min(at, 64 * 1024);
      at -= length;
      tail = Buffer.concat([(await handle.read(Buffer.alloc(length), 0, length, at)).buffer, tail]);
      if (tail.at(-1) !== 10) {
        const end = tail.lastIndexOf(10);
        size = at + end + 1;
        tail = tail.subarray(0, end + 1);
      }
      const before = tail.subarray(0, -1).lastIndexOf(10);
      if (tail.length > 0 && (before !== -1 || at === 0))
        return { entry: entryOf(path, tail.subarray(before + 1, -1).toString()), size };
    }
    return { entry: undefined, size };
  } finally {
    await handle.close();
  }
}

function entryOf(path: string, line: string): StoredEntry {
  const entry = readAuditLine(line);
  if (entry !== undefined) return entry;
  throw auditError(
    "AUDIT_FILE_INVALID",
    `${path}: its last line is no entry, so none can follow it; keep the file, and give another path`,
  );
}

/** The lines of a file. For readline of newer Node versions U+2028 ends one too, which stands in JSON as it is. */
export async function* linesOf(file: Readable): AsyncGenerator<string, void> {
  let rest = "";
  for await (const part of file.setEncoding("utf8")) {
    const lines = `${rest}${String(part)}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield line.endsWith("\r") ? line.slice(0, -1) : line;
  }
  if (rest !== "") yield rest;
}

/** Number of the first entry of a file. */
export async function firstSeq(path: string): Promise<number | undefined> {
  for await (const line of linesOf(createReadStream(path))) return readAuditLine(line)?.seq;
  return undefined;
}

/** When an entry was recorded. */
export function timeOf({ text }: StoredEntry): number {
  return (JSON.parse(text) as AuditEntry).time; // it was read as one
}
