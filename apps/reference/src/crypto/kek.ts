import { randomBytes, randomUUID } from "node:crypto";
import { link, mkdir, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { resource } from "@steward/core";
import { keyKek, type Kek } from "@steward/crypto";
import { settings } from "../settings.ts";

const KEK_BYTES = 32;
const OWNER_ONLY = 0o600;
const OTHERS = 0o077;

/** The key-encryption keys: those of `CLIPS_KEK`, else one that is made at the first start and kept in the data folder. */
export const kek = resource("kek", {
  needs: { settings },
  tags: ["security"],
  start: async ({ settings: { keks, dataDir } }): Promise<readonly Kek[]> => {
    if (keks.length > 0) return keks.map((key) => keyKek({ key: key.reveal() }));
    return [keyKek({ key: await keyInFile(join(dataDir, "kek")) })];
  },
});

async function keyInFile(file: string): Promise<string> {
  const known = await readKey(file);
  if (known !== undefined) return known;
  await makeKey(file);
  return (await readKey(file)) ?? readKeyFailed(file);
}

async function readKey(file: string): Promise<string | undefined> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  if (process.platform !== "win32" && (found.mode & OTHERS) !== 0)
    throw new Error(`${file} can be read by others: if no one has, run chmod 600 on it; else make a new key`);
  const key = (await readFile(file, "utf8")).trim();
  if (Buffer.from(key, "base64").length !== KEK_BYTES) return readKeyFailed(file);
  return key;
}

function readKeyFailed(file: string): never {
  throw new Error(
    `${file} does not hold a key of ${KEK_BYTES} bytes in base64; without it the stored keys cannot be read`,
  );
}

/** Several instances may start at once: each writes a file of its own, and the first to give it the name wins. */
async function makeKey(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const own = `${file}.${randomUUID()}`;
  try {
    await writeFile(own, `${randomBytes(KEK_BYTES).toString("base64")}\n`, {
      mode: OWNER_ONLY,
      flag: "wx",
      flush: true,
    });
    await link(own, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(own, { force: true });
  }
  await syncFolder(dirname(file));
}

/** Else a power cut right after the first start could take the name, and with it everything that was encrypted. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return; // folders cannot be opened there
  const handle = await open(folder);
  await handle.sync().finally(() => handle.close());
}
