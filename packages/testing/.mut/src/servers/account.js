import { chown, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { StewardError } from "@steward/core";
import { findProgram, runCommand } from "./programs.js";
const NAMESPACE = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"];
const NOBODY = 65_534;
const AS_NOBODY = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--"];
const ourselves = { wrap: (command) => command, own: () => Promise.resolve() };
// Root outside, user 1000 inside: no other account is needed, and every folder that root can enter stays within reach.
const mapped = {
    wrap: (command) => [...NAMESPACE, ...command],
    own: (folder) => chownTree(folder, 0),
};
const nobody = {
    wrap: (command) => [...AS_NOBODY, ...command],
    own: (folder) => chownTree(folder, NOBODY),
};
async function chownTree(path, uid) {
    const entry = await stat(path);
    if (entry.uid === uid)
        return;
    if (entry.isDirectory()) {
        for (const name of await readdir(path))
            await chownTree(join(path, name), uid);
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
export async function chooseAccount(programs, folder) {
    if (process.getuid?.() !== 0)
        return ourselves;
    const namespace = await runCommand([...NAMESPACE, "true"]);
    if (namespace.ok) {
        await chown(folder, 0, 0);
        return mapped;
    }
    const reason = findProgram("setpriv") === undefined ? "there is no setpriv" : await refusal(programs, folder);
    if (reason === undefined)
        return nobody;
    throw new StewardError("SERVER_ROOT_REFUSED", `Postgres does not run as root: a user namespace is not allowed here (${namespace.text}), and as user ${NOBODY}: ${reason}. ` +
        "Run as an ordinary user, allow user namespaces, use folders that every user may enter, or set DATABASE_URL");
}
async function refusal(programs, folder) {
    for (const program of programs) {
        if (!(await runCommand([...AS_NOBODY, "test", "-x", program])).ok)
            return `${program} cannot be run`;
    }
    const { uid, gid } = await stat(folder);
    await chown(folder, NOBODY, NOBODY);
    if ((await runCommand([...AS_NOBODY, "test", "-w", folder])).ok)
        return undefined;
    await chown(folder, uid, gid);
    return `${folder} cannot be entered`;
}
//# sourceMappingURL=account.js.map