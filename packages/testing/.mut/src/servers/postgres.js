import { setTimeout as sleep } from "node:timers/promises";
import { StewardError } from "@steward/core";
import { chooseAccount } from "./account.js";
import { openFolder, removeFolder } from "./folder.js";
import { launch } from "./launch.js";
import { claimFolder } from "./ownership.js";
import { requirePostgres } from "./postgres-binaries.js";
import { POSTGRES_USER, PostgresCluster } from "./postgres-cluster.js";
import { isAlive } from "./process-table.js";
import { OwnedServer } from "./server.js";
const START_TIMEOUT_MS = 30_000;
const SHARE_POLL_MS = 50;
/**
 * Starts a real Postgres 18 on 127.0.0.1 and waits until it takes connections.
 *
 * It works as root, ends when this process ends (also after `kill -9`, on Linux) and not by the Ctrl-C of a terminal.
 * A `dataDir` keeps its rows; after a crash the next start recovers them.
 *
 * @throws {SERVER_BINARY_MISSING} there is no Postgres for this platform.
 * @throws {SERVER_ROOT_REFUSED} we are root, and Postgres can get no other account here.
 * @throws {SERVER_IN_USE} a living process owns `dataDir`, and sharing is refused or impossible.
 * @throws {SERVER_START_FAILED} `initdb` or the server ended; the message holds its words.
 * @throws {SERVER_START_TIMEOUT} it was not ready in time.
 * @throws {SERVER_PORT_BUSY} `port` belongs to another program.
 *
 * @example
 * ```ts
 * import { startPostgres } from "@steward/testing/servers";
 * await using server = await startPostgres();
 * console.log(server.url); // postgres://postgres:...@127.0.0.1:41234/postgres
 * ```
 */
export async function startPostgres(options = {}) {
    options.signal?.throwIfAborted();
    const database = options.database ?? "postgres";
    const binaries = await requirePostgres(options.binDir);
    const folder = await openFolder("postgres", options.dataDir);
    const { claim, owner } = await claimFolder(folder.path);
    if (claim === undefined)
        return share(folder, owner, options);
    const release = () => giveBack(folder, claim);
    try {
        const account = await chooseAccount([binaries.initdb, binaries.postgres], folder.path);
        const cluster = new PostgresCluster(folder.path, binaries, account);
        await cluster.endOrphan();
        await cluster.prepare(database, options.signal);
        const plan = launchPlan(cluster, folder, options);
        const password = await cluster.password();
        return new OwnedPostgres(plan, await launch(plan, options.signal), release, password, database);
    }
    catch (error) {
        await release();
        throw error;
    }
}
async function giveBack(folder, claim) {
    if (folder.temporary)
        await removeFolder(folder.path);
    else
        await claim.release();
}
function launchPlan(cluster, folder, options) {
    const settings = {
        listen_addresses: "127.0.0.1",
        // Socket paths have a length limit that a deep folder exceeds.
        unix_socket_directories: "",
        // In the data folder, so that nothing stays in /dev/shm after a kill.
        dynamic_shared_memory_type: "mmap",
        timezone: "UTC",
        fsync: !folder.temporary,
        ...options.settings,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${String(value)}`]);
    return {
        name: "Postgres",
        port: options.port,
        startTimeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
        // Fast shutdown, then immediate shutdown, then force.
        endSteps: [
            ["SIGINT", 10_000],
            ["SIGQUIT", 3_000],
            ["SIGKILL", 10_000],
        ],
        async command(port) {
            const command = await cluster.command(["-p", String(port), ...flags]);
            return { command, cwd: cluster.folder, logFile: cluster.logFile };
        },
        async ready(_port, pid) {
            const now = await cluster.postmaster();
            return now?.pid === pid && now.ready;
        },
    };
}
function urlOf(password, port, database) {
    return `postgres://${POSTGRES_USER}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
}
class OwnedPostgres extends OwnedServer {
    user = POSTGRES_USER;
    shared = false;
    password;
    database;
    constructor(plan, launched, release, password, database) {
        super(plan, launched, release);
        this.password = password;
        this.database = database;
    }
    get url() {
        return urlOf(this.password, this.port, this.database);
    }
}
async function share(folder, owner, options) {
    if (options.ifInUse === "fail")
        throw inUse(folder, owner, "stop it, or give another dataDir");
    const ourselves = { wrap: (command) => command, own: () => Promise.resolve() };
    const cluster = new PostgresCluster(folder.path, { initdb: "", postgres: "" }, ourselves);
    const database = options.database ?? "postgres";
    const deadline = performance.now() + (options.startTimeoutMs ?? START_TIMEOUT_MS);
    for (;;) {
        const now = await cluster.postmaster();
        if (now?.ready === true) {
            if (!(await cluster.databases()).includes(database))
                throw inUse(folder, owner, `it has no database "${database}"`);
            return sharedServer(now.pid, now.port, await cluster.password(), database);
        }
        options.signal?.throwIfAborted();
        if (!(await isAlive(owner)))
            return startPostgres(options);
        if (performance.now() > deadline)
            throw inUse(folder, owner, "its server did not become ready");
        await sleep(SHARE_POLL_MS);
    }
}
function inUse(folder, owner, hint) {
    return new StewardError("SERVER_IN_USE", `process ${owner.pid} owns the Postgres in ${folder.path}: ${hint}`);
}
function sharedServer(pid, port, password, database) {
    const refuse = () => Promise.reject(new StewardError("SERVER_NOT_OWNED", `Postgres ${pid} belongs to another handle; only that one may do this`));
    const stop = () => Promise.resolve();
    return {
        url: urlOf(password, port, database),
        host: "127.0.0.1",
        user: POSTGRES_USER,
        shared: true,
        ended: new Promise(() => undefined),
        get running() {
            try {
                return process.kill(pid, 0);
            }
            catch {
                return false;
            }
        },
        pid,
        port,
        password,
        database,
        stop,
        kill: refuse,
        pause: refuse,
        resume: refuse,
        restart: refuse,
        [Symbol.asyncDispose]: stop,
    };
}
//# sourceMappingURL=postgres.js.map