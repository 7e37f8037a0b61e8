import { link, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isAlive, ownIdentity, type ProcessIdentity } from "./process-table.ts";

/** The right of one process to start and stop the server of a folder. */
export interface Claim {
  /** Gives the right back, so that the next process can take it. */
  release(): Promise<void>;
}

/** What came of asking for a folder: it is ours, or a living process has it. */
export type ClaimResult =
  | { readonly claim: Claim; readonly owner?: never }
  | { readonly claim?: never; readonly owner: ProcessIdentity };

interface OwnerFile extends ProcessIdentity {
  readonly released?: boolean;
}

const PREFIX = "owner.";
let drafts = 0;

async function generations(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => /^owner\.\d+$/.test(name))
    .map((name) => Number(name.slice(PREFIX.length)))
    .sort((a, b) => b - a);
}

async function readOwner(folder: string, generation: number): Promise<OwnerFile | undefined> {
  const text = await readFile(join(folder, `${PREFIX}${generation}`), "utf8").catch(() => undefined);
  // The file is ours and appears complete (by link), so its shape is known.
  return text === undefined ? undefined : (JSON.parse(text) as OwnerFile);
}

async function writeDraft(folder: string, owner: OwnerFile): Promise<string> {
  const draft = join(folder, `.draft-${process.pid}-${(drafts += 1)}`);
  await writeFile(draft, JSON.stringify(owner), { mode: 0o600 });
  return draft;
}

/**
 * The living owner of a folder, or why there is none: `dead` (it ended without giving the folder back),
 * `free` (it gave it back, or there never was an owner).
 */
export async function ownerOf(folder: string): Promise<ProcessIdentity | "dead" | "free"> {
  const [newest] = await generations(folder);
  const owner = newest === undefined ? undefined : await readOwner(folder, newest);
  if (owner === undefined || owner.released === true) return "free";
  return (await isAlive(owner)) ? owner : "dead";
}

/**
 * Takes the folder for this process unless a living process has it.
 *
 * Owner files are numbered and the highest number counts. A new one appears whole and only if no other process made
 * the same number, so of two processes that find a dead owner at the same moment exactly one wins.
 */
export async function claimFolder(folder: string): Promise<ClaimResult> {
  const self = await ownIdentity();
  for (;;) {
    const [newest = 0] = await generations(folder);
    const owner = await ownerOf(folder);
    if (typeof owner === "object") return { owner };
    const mine = newest + 1;
    if (!(await publish(folder, mine, self))) continue;
    const all = await generations(folder);
    if (all[0] === mine) {
      await Promise.all(all.slice(1).map((old) => rm(join(folder, `${PREFIX}${old}`), { force: true })));
      return { claim: { release: () => markReleased(folder, mine, self) } };
    }
    await rm(join(folder, `${PREFIX}${mine}`), { force: true });
  }
}

async function publish(folder: string, generation: number, self: ProcessIdentity): Promise<boolean> {
  const draft = await writeDraft(folder, self);
  try {
    await link(draft, join(folder, `${PREFIX}${generation}`));
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

// A released file stays, because the numbers may only grow.
async function markReleased(folder: string, generation: number, self: ProcessIdentity): Promise<void> {
  const draft = await writeDraft(folder, { ...self, released: true });
  await rename(draft, join(folder, `${PREFIX}${generation}`));
}
