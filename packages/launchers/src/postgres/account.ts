import { chown, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { StewardError } from "@steward/core";
import { findProgram, runCommand } from "../process/programs.ts";

/** Under which account Postgres runs; it refuses to be root. */
export interface Account {
  /** The command, so wrapped that it runs under this account. */
  wrap(command: readonly string[]): readonly string[];
  /** Makes a folder of ours, with everything in it, belong to the account. */
  own(folder: string): Promise<void>;
}

const NAMESPACE = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"];
const UNPRIVILEGED_ID = 65_534;
const AS_UNPRIVILEGED = ["setpriv", `--reuid=${UNPRIVILEGED_ID}`, `--regid=${UNPRIVILEGED_ID}`, "--clear-groups", "--"];

const ourselves: Account = { wrap: (command) => command, own: () => Promise.resolve() };

// Root outside, user 1000 inside: no other account is needed, and every folder that root can enter stays within reach.
const mapped: Account = {
  wrap: (command) => [...NAMESPACE, ...command],
  own: (folder) => chownTree(folder, 0),
};

const unprivileged: Account = {
  wrap: (command) => [...AS_UNPRIVILEGED, ...command],
  own: (folder) => chownTree(folder, UNPRIVILEGED_ID),
};

async function chownTree(path: string, uid: number): Promise<void> {
  const entry = await stat(path);
  if (entry.uid === uid) return;
  if (entry.isDirectory()) {
    for (const name of await readdir(path)) await chownTree(join(path, name), uid);
  }
  // The folder itself comes last, so that an interrupted pass is done again.
  await chown(path, uid, uid);
}

/**
 * The account for Postgres: ourselves, or for root a user namespace, or where those are forbidden user 65534.
 *
 * @param programs what the account must be able to run.
 * @param folder what it must be able to enter.
 * @throws {SERVER_ROOT_REFUSED} root, and neither way works here.
 */
export async function chooseAccount(programs: readonly string[], folder: string): Promise<Account> {
  if (process.getuid?.() !== 0) return ourselves;
  const namespace = await runCommand([...NAMESPACE, "true"]);
  if (namespace.ok) {
    await chown(folder, 0, 0);
    return mapped;
  }
  const reason = findProgram("setpriv") === undefined ? "there is no setpriv" : await refusal(programs, folder);
  if (reason === undefined) return unprivileged;
  throw new StewardError(
    "SERVER_ROOT_REFUSED",
    `Postgres does not run as root: a user namespace is not allowed here (${namespace.text}), and as user ${UNPRIVILEGED_ID}: ${reason}. ` +
      "Run as an ordinary user, allow user namespaces, use folders that every user may enter, or set DATABASE_URL",
  );
}

async function refusal(programs: readonly string[], folder: string): Promise<string | undefined> {
  for (const program of programs) {
    if (!(await runCommand([...AS_UNPRIVILEGED, "test", "-x", program])).ok) return `${program} cannot be run`;
  }
  const { uid, gid } = await stat(folder);
  await chown(folder, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
  if ((await runCommand([...AS_UNPRIVILEGED, "test", "-w", folder])).ok) return undefined;
  await chown(folder, uid, gid);
  return `${folder} cannot be entered`;
}
