import { setTimeout as sleep } from "node:timers/promises";
import { StewardError } from "@steward/core";
import { assertShape } from "@steward/core/driver";
import { chooseAccount } from "./account.ts";
import { openFolder, removeFolder, type ServerFolder } from "../process/folder.ts";
import { launch, type Launched, type LaunchPlan } from "../process/launch.ts";
import { type Claim, claimFolder } from "../process/ownership.ts";
import { requirePostgres } from "./binaries.ts";
import { POSTGRES_USER, PostgresCluster } from "./cluster.ts";
import { ClusterTemplate } from "./template.ts";
import { postgresShape, type PostgresOptions } from "./options.ts";
import { isAlive, type ProcessIdentity } from "../process/process-table.ts";
import { OwnedServer, type Server } from "../process/server.ts";
import type { ServerExit } from "../process/server-process.ts";

/** A running Postgres. */
export interface PostgresServer extends Server {
  readonly user: string;
  /** Generated, 32 characters that need no escaping in a URL. */
  readonly password: string;
  readonly database: string;
  /** True when another handle owns the server: `stop` leaves it running, and `kill`, `pause`, `restart` are refused. */
  readonly shared: boolean;
  /** Resolves when the present server process has ended; for a shared server never. */
  readonly ended: Promise<ServerExit>;
}

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
 * import { startPostgres } from "@steward/launchers";
 * await using server = await startPostgres();
 * console.log(server.url); // postgres://postgres:...@127.0.0.1:41234/postgres
 * ```
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  assertShape("startPostgres", postgresShape, options);
  options.signal?.throwIfAborted();
  const database = options.database ?? "postgres";
  const binaries = await requirePostgres(options.binDir);
  const folder = await openFolder("postgres", options.dataDir);
  const { claim, owner } = await claimFolder(folder.path);
  if (claim === undefined) return share(folder, owner, options);
  const release = (): Promise<void> => giveBack(folder, claim);
  try {
    const account = await chooseAccount([binaries.initdb, binaries.postgres], folder.path);
    const template = folder.temporary ? await ClusterTemplate.of(binaries.initdb) : undefined;
    const cluster = new PostgresCluster(folder.path, binaries, account, template);
    await cluster.endOrphan();
    await cluster.prepare(database, options.signal);
    const plan = launchPlan(cluster, folder, options);
    const password = await cluster.password();
    return new OwnedPostgres(plan, await launch(plan, options.signal), release, password, database);
  } catch (error) {
    await release();
    throw error;
  }
}

async function giveBack(folder: ServerFolder, claim: Claim): Promise<void> {
  if (folder.temporary) await removeFolder(folder.path);
  else await claim.release();
}

function launchPlan(cluster: PostgresCluster, folder: ServerFolder, options: PostgresOptions): LaunchPlan {
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

function urlOf(password: string, port: number, database: string): string {
  return `postgres://${POSTGRES_USER}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
}

class OwnedPostgres extends OwnedServer implements PostgresServer {
  readonly user: string = POSTGRES_USER;
  readonly shared = false;
  readonly password: string;
  readonly database: string;

  constructor(plan: LaunchPlan, launched: Launched, release: () => Promise<void>, password: string, database: string) {
    super(plan, launched, release);
    this.password = password;
    this.database = database;
  }

  get url(): string {
    return urlOf(this.password, this.port, this.database);
  }
}

async function share(folder: ServerFolder, owner: ProcessIdentity, options: PostgresOptions): Promise<PostgresServer> {
  if (options.ifInUse === "fail") throw inUse(folder, owner, "stop it, or give another dataDir");
  const ourselves = { wrap: (command: readonly string[]) => command, own: () => Promise.resolve() };
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
    if (!(await isAlive(owner))) return startPostgres(options);
    if (performance.now() > deadline) throw inUse(folder, owner, "its server did not become ready");
    await sleep(SHARE_POLL_MS);
  }
}

function inUse(folder: ServerFolder, owner: ProcessIdentity, hint: string): StewardError {
  return new StewardError("SERVER_IN_USE", `process ${owner.pid} owns the Postgres in ${folder.path}: ${hint}`);
}

function sharedServer(pid: number, port: number, password: string, database: string): PostgresServer {
  const refuse = (): Promise<never> =>
    Promise.reject(
      new StewardError("SERVER_NOT_OWNED", `Postgres ${pid} belongs to another handle; only that one may do this`),
    );
  const stop = (): Promise<void> => Promise.resolve();
  return {
    url: urlOf(password, port, database),
    host: "127.0.0.1",
    user: POSTGRES_USER,
    shared: true,
    ended: new Promise(() => undefined),
    get running() {
      try {
        return process.kill(pid, 0);
      } catch {
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
