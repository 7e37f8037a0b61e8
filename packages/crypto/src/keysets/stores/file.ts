import { watch as watchFolder } from "node:fs";
import { link, mkdir, open, readdir, stat, unlink } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { assertShape, required, shape, text } from "@steward/core/driver";
import { cryptoError } from "../../errors.ts";
import { MAX_BLOB_BYTES, type KeyStore, type StoredKeyset } from "./store.ts";

/** How {@link fileStore} is made. */
export interface FileStoreOptions {
  /** Folder for the keysets; made with mode 0700 where it does not exist. */
  readonly directory: string;
}

const FILE_STORE = shape<FileStoreOptions>(() => ({ directory: required(text()) }));
const NAME = /^(.+)\.(\d+)\.keyset$/;
// Kept so that a writer that slept through a change still finds its place taken.
const KEPT_REVISIONS = 8;

/**
 * Keeps each revision of a keyset in a file of its own, mode 0600. A revision is linked into place, which fails when
 * somebody else was there first: compare-and-set without a lock that a crash could leave behind.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or of a wrong type.
 */
export function fileStore(options: FileStoreOptions): KeyStore {
  assertShape("fileStore", FILE_STORE, options);
  const { directory } = options;
  return {
    kind: "file",
    load: async (name) => {
      await prepare(directory);
      return load(directory, name);
    },
    async compareAndSet(name, expected, next) {
      await prepare(directory);
      const before = (await revisions(directory, name))[0] ?? 0;
      if (before !== expected || !(await place(directory, name, next))) return false;
      const after = await revisions(directory, name);
      // Others may have gone on from here by now. Only behind more revisions than are kept was the place a free one that
      // had been taken before.
      if ((after[0] ?? 0) - next.revision >= KEPT_REVISIONS) return false;
      await Promise.all(after.slice(KEPT_REVISIONS).map((old) => unlink(fileOf(directory, name, old)).catch(() => {})));
      return true;
    },
    async watch(listener) {
      await prepare(directory);
      const watcher = watchFolder(directory, { persistent: false }, (_event, file) => {
        const name = NAME.exec(file ?? "")?.[1];
        if (name !== undefined) listener(decodeURIComponent(name));
      });
      watcher.on("error", () => watcher.close());
      return async () => watcher.close();
    },
  };
}

function fileOf(directory: string, name: string, revision: number): string {
  return join(directory, `${encodeURIComponent(name)}.${revision}.keyset`);
}

async function prepare(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await checkPrivate(directory);
}

async function checkPrivate(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return;
  const shown = (mode & 0o777).toString(8).padStart(4, "0");
  throw cryptoError(
    "CRYPTO_STORE_EXPOSED",
    `${path} has mode ${shown}: others can reach the keys in it; chmod it to ${path.endsWith(".keyset") ? "0600" : "0700"}`,
  );
}

/** Revisions that are there, newest first. */
async function revisions(directory: string, name: string): Promise<number[]> {
  const own = encodeURIComponent(name);
  const files = (await readdir(directory)).map((file) => NAME.exec(file));
  return files.flatMap((match) => (match !== null && match[1] === own ? [Number(match[2])] : [])).sort((a, b) => b - a);
}

async function load(directory: string, name: string): Promise<StoredKeyset | undefined> {
  const [revision] = await revisions(directory, name);
  if (revision === undefined) return undefined;
  const file = fileOf(directory, name, revision);
  try {
    await checkPrivate(file);
    return { revision, blob: await readBounded(file) };
  } catch (error) {
    // Others have moved on and cleaned up behind them between our two looks.
    if (isMissing(error)) return load(directory, name);
    throw error;
  }
}

/** Reads a file that may grow while it is read: never more than a keyset can have. */
async function readBounded(path: string): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size > MAX_BLOB_BYTES)
      throw cryptoError("CRYPTO_STORE_INVALID", `${path} has ${size} bytes; a keyset has at most ${MAX_BLOB_BYTES}`);
    const blob = Buffer.alloc(size);
    const { bytesRead } = await file.read(blob, 0, size, 0);
    return blob.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function place(directory: string, name: string, next: StoredKeyset): Promise<boolean> {
  const temporary = join(directory, `.${randomUUID()}.tmp`);
  try {
    await writeDurably(temporary, next.blob);
    await link(temporary, fileOf(directory, name, next.revision));
    await syncFolder(directory);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  } finally {
    await unlink(temporary).catch(() => {});
  }
}

async function writeDurably(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFolder(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
