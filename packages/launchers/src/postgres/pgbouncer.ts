import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StewardError } from "@steward/core";
import {
  assertShape,
  milliseconds,
  oneOf,
  recordOf,
  required,
  shape,
  signal,
  text,
  anything,
  wholeNumber,
  type Shape,
} from "@steward/core/driver";
import { openFolder, removeFolder } from "../process/folder.ts";
import { launch, type Launched, type LaunchPlan } from "../process/launch.ts";
import { claimFolder } from "../process/ownership.ts";
import { diesWithParent } from "../process/parent-death.ts";
import { findProgram } from "../process/programs.ts";
import { OwnedServer, type Server } from "../process/server.ts";
import type { ServerExit } from "../process/server-process.ts";
import { chooseAccount, type Account } from "./account.ts";

/** How to start a PgBouncer. */
export interface PgBouncerOptions {
  /** URL of the Postgres behind it, with the password of a user who may read `pg_shadow`: other users log in by what stands there. */
  readonly target: string;
  /** When a connection to the server goes back. Default `transaction`. */
  readonly mode?: "session" | "transaction" | "statement";
  /** Connections to the server, for each user and database. Default 4. */
  readonly poolSize?: number;
  /** Further lines of its configuration. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Port on 127.0.0.1. Without it a free one below 55,536. */
  readonly port?: number;
  /** From spawn to ready, in ms. Default 10,000. */
  readonly startTimeoutMs?: number;
  /** Gives the start up and leaves nothing behind. */
  readonly signal?: AbortSignal;
}

const pgBouncerShape: Shape<PgBouncerOptions> = shape<PgBouncerOptions>(() => ({
  target: required(text()),
  mode: oneOf("session", "transaction", "statement"),
  poolSize: wholeNumber(1),
  settings: recordOf(anything()),
  port: wholeNumber(1, 65_535),
  startTimeoutMs: milliseconds(),
  signal: signal(),
}));

/** A running PgBouncer. Its `url` leads to the same database as the target's, with the same user and password. */
export interface PgBouncer extends Server {
  /** Resolves when the present process has ended. */
  readonly ended: Promise<ServerExit>;
}

const START_TIMEOUT_MS = 10_000;
/** What it says once it listens. */
const READY = "process up:";

/** PgBouncer on PATH or where Debian puts it, or `undefined`. */
export function findPgBouncer(): string | undefined {
  return findProgram("pgbouncer", ["/usr/sbin"]);
}

/**
 * Starts a real PgBouncer on 127.0.0.1 in front of a Postgres, in transaction mode, and waits until it listens. It works as root.
 *
 * @throws {SERVER_BINARY_MISSING} there is no PgBouncer.
 * @throws {SERVER_ROOT_REFUSED} we are root, and PgBouncer can get no other account here.
 * @throws {SERVER_START_FAILED} it ended; the message holds its words.
 * @throws {SERVER_START_TIMEOUT} it did not listen in time.
 * @throws {SERVER_PORT_BUSY} `port` belongs to another program.
 *
 * @example
 * ```ts fragment
 * await using server = await startPostgres();
 * await using pooler = await startPgBouncer({ target: server.url });
 * console.log(pooler.url); // postgres://postgres:...@127.0.0.1:41235/postgres
 * ```
 */
export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncer> {
  assertShape("startPgBouncer", pgBouncerShape, options);
  options.signal?.throwIfAborted();
  const binary = findPgBouncer();
  if (binary === undefined)
    throw new StewardError(
      "SERVER_BINARY_MISSING",
      "no PgBouncer to start: there is none on PATH or in /usr/sbin. Install it, as pgbouncer of the distribution",
    );
  const folder = await openFolder("pgbouncer");
  const release = (): Promise<void> => removeFolder(folder.path);
  try {
    await claimFolder(folder.path);
    const account = await chooseAccount([binary], folder.path);
    const plan = launchPlan(binary, folder.path, account, options);
    return new OwnedPgBouncer(plan, await launch(plan, options.signal), release, options.target);
  } catch (error) {
    await release();
    throw error;
  }
}

function launchPlan(binary: string, folder: string, account: Account, options: PgBouncerOptions): LaunchPlan {
  const [configFile, usersFile, logFile] = ["pgbouncer.ini", "users.txt", "server.log"].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  return {
    name: "PgBouncer",
    port: options.port,
    startTimeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
    // At once, then by force: it has nothing to save.
    endSteps: [
      ["SIGTERM", 5_000],
      ["SIGKILL", 10_000],
    ],
    async command(port) {
      const { username, password } = new URL(options.target);
      await writeFile(configFile, configuration(port, usersFile, options), { mode: 0o600 });
      await writeFile(usersFile, `${quoted(username)} ${quoted(password)}\n`, { mode: 0o600 });
      for (const file of [configFile, usersFile]) await account.own(file);
      const command = account.wrap(await diesWithParent([binary, configFile], "KILL"));
      return { command, cwd: folder, logFile };
    },
    ready: async () => (await readFile(logFile, "utf8").catch(() => "")).includes(READY),
  };
}

function quoted(part: string): string {
  return `"${decodeURIComponent(part).replaceAll('"', '""')}"`;
}

function configuration(port: number, usersFile: string, options: PgBouncerOptions): string {
  const { hostname, port: behind, username } = new URL(options.target);
  const lines = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    // Socket paths have a length limit that a deep folder exceeds.
    unix_socket_dir: "",
    auth_type: "scram-sha-256",
    auth_file: usersFile,
    auth_user: decodeURIComponent(username),
    pool_mode: options.mode ?? "transaction",
    default_pool_size: options.poolSize ?? 4,
    max_client_conn: 1_000,
    ...options.settings,
  };
  const settings = Object.entries(lines).map(([name, value]) => `${name} = ${value}\n`);
  return `[databases]\n* = host=${hostname} port=${behind === "" ? 5432 : behind}\n[pgbouncer]\n${settings.join("")}`;
}

class OwnedPgBouncer extends OwnedServer implements PgBouncer {
  readonly #target: string;

  constructor(plan: LaunchPlan, launched: Launched, release: () => Promise<void>, target: string) {
    super(plan, launched, release);
    this.#target = target;
  }

  get url(): string {
    return Object.assign(new URL(this.#target), { hostname: this.host, port: String(this.port) }).href;
  }
}
