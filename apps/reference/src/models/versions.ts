import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Golden } from "@steward/models";

/** Versions that are kept; who serves an older one has it in memory. */
const KEPT = 5;
const MOST_TRIES = 10;

/** The versions in the folder of a model, oldest first. */
export async function versionsIn(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []; // of the file system
    throw error;
  });
  return names
    .filter((name) => /^[1-9]\d{0,8}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** Adds a version: all of it or nothing, also beside another process that adds one. @returns its number. */
export async function addVersion(folder: string, content: Uint8Array, golden: readonly Golden[]): Promise<number> {
  const made = join(folder, `.${randomUUID()}`);
  await mkdir(made, { recursive: true });
  const sha256 = createHash("sha256").update(content).digest("hex");
  await writeFile(join(made, "model.onnx"), content);
  await writeFile(join(made, "model.json"), JSON.stringify({ sha256, golden: golden.map(asJson) }));
  for (let tries = 0; ; tries++) {
    const version = ((await versionsIn(folder)).at(-1) ?? 0) + 1;
    try {
      await rename(made, join(folder, String(version)));
      await prune(folder);
      return version;
    } catch (error) {
      const isTaken = ["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? ""); // of the file system
      if (isTaken && tries < MOST_TRIES) continue;
      await rm(made, { recursive: true, force: true });
      throw error;
    }
  }
}

async function prune(folder: string): Promise<void> {
  for (const old of (await versionsIn(folder)).slice(0, -KEPT))
    await rm(join(folder, String(old)), { recursive: true, force: true });
}

/** Numbers as lists, in place of arrays that JSON does not have. */
function asJson(golden: Golden): unknown {
  return JSON.parse(
    JSON.stringify(golden, (_key, value: unknown) => (ArrayBuffer.isView(value) ? Array.from(value as never) : value)),
  );
}
