import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StewardError } from "@steward/core";
import type { Account } from "./account.ts";
import { exists, removeFolder } from "../process/folder.ts";
import { diesWithParent } from "../process/parent-death.ts";
import type { PostgresBinaries } from "./binaries.ts";
import { isAlive, type ProcessIdentity, processesIn, sendSignal, startedAt } from "../process/process-table.ts";
import { runCommand } from "../process/programs.ts";
import type { ClusterTemplate } from "./template.ts";

/** The one role of a cluster of ours. */
export const POSTGRES_USER = "postgres";

/** What `postmaster.pid` says about the running server. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  readonly ready: boolean;
}

const ORPHAN_WAIT_MS = 15_000;
const POLL_MS = 20;

/** The files of one Postgres, all in one folder: `cluster/`, `password` (0600), `databases`, `server.log`. */
export class PostgresCluster {
  readonly folder: string;
  readonly #binaries: PostgresBinaries;
  readonly #account: Account;
  readonly #template: ClusterTemplate | undefined;

  constructor(folder: string, binaries: PostgresBinaries, account: Account, template?: ClusterTemplate) {
    this.#template = template;
    this.folder = folder;
    this.#binaries = binaries;
    this.#account = account;
  }

  get data(): string {
    return join(this.folder, "cluster");
  }

  get logFile(): string {
    return join(this.folder, "server.log");
  }

  /** The server's command line. */
  command(args: readonly string[]): Promise<readonly string[]> {
    return this.#command(this.#binaries.postgres, "-D", this.data, ...args);
  }

  async #command(program: string, ...args: readonly string[]): Promise<readonly string[]> {
    return this.#account.wrap(await diesWithParent([program, ...args], "INT"));
  }

  /** Makes the cluster and the database where they are missing; a half-made cluster is made anew. */
  async prepare(database: string, signal?: AbortSignal): Promise<void> {
    await this.#removeDrafts();
    const known = await readFile(join(this.folder, "password"), "utf8").catch(() => "");
    if (!(await exists(this.data))) await this.#create(signal);
    else if (known === "") await this.#renewPassword(signal);
    await this.#account.own(this.data);
    await this.#ensureDatabase(database, signal);
  }

  async #removeDrafts(): Promise<void> {
    const names = await readdir(this.folder);
    if (names.includes("PG_VERSION")) {
      throw new StewardError(
        "SERVER_START_FAILED",
        `${this.folder} holds a Postgres cluster that was not made here: give another dataDir`,
      );
    }
    const drafts = names.filter((name) => name.startsWith("new-"));
    await Promise.all(drafts.map((name) => removeFolder(join(this.folder, name))));
  }

  // Made beside its place and renamed when complete, so a kill in between leaves no half cluster.
  async #create(signal?: AbortSignal): Promise<void> {
    const draft = await mkdtemp(join(this.folder, "new-"));
    try {
      await this.#fill(draft, signal);
    } finally {
      await removeFolder(draft);
    }
  }

  async #fill(draft: string, signal?: AbortSignal): Promise<void> {
    const made = join(draft, "made");
    if ((await this.#template?.copyTo(made, signal)) !== true) {
      await mkdir(made, { mode: 0o700 });
      await this.#initialize(made, signal);
      await this.#template?.keep(made, signal);
    }
    await copyFile(join(made, "password"), join(this.folder, "password"));
    await rm(join(this.folder, "databases"), { force: true });
    await rename(join(made, "cluster"), this.data);
  }

  async #initialize(place: string, signal?: AbortSignal): Promise<void> {
    const passwordFile = join(place, "password");
    await writeFile(passwordFile, await this.#newPassword(), { mode: 0o600 });
    await this.#account.own(join(place, ".."));
    const where = ["-D", join(place, "cluster"), "-U", POSTGRES_USER, `--pwfile=${passwordFile}`];
    const how = ["--auth=scram-sha-256", "--no-sync", "--locale=C", "--encoding=UTF8"];
    const command = await this.#command(this.#binaries.initdb, ...where, ...how);
    const made = await runCommand(command, { cwd: this.folder, signal });
    if (!made.ok)
      throw new StewardError("SERVER_START_FAILED", `initdb failed in ${this.folder}. It wrote:\n${made.text}`);
  }

  async #newPassword(): Promise<string> {
    const password = randomBytes(24).toString("base64url");
    await writeFile(join(this.folder, "password"), password, { mode: 0o600 });
    return password;
  }

  async #renewPassword(signal?: AbortSignal): Promise<void> {
    await this.#account.own(this.data);
    await this.#singleUser(`ALTER ROLE ${POSTGRES_USER} PASSWORD '${await this.#newPassword()}'`, signal);
  }

  password(): Promise<string> {
    return readFile(join(this.folder, "password"), "utf8");
  }

  async #ensureDatabase(database: string, signal?: AbortSignal): Promise<void> {
    const known = await this.databases();
    if (known.includes(database)) return;
    await this.#singleUser(`CREATE DATABASE "${database.replaceAll('"', '""')}"`, signal);
    await writeFile(join(this.folder, "databases"), [...known, database].slice(1).join("\n"));
  }

  /** The databases made here; `postgres` always exists. */
  async databases(): Promise<string[]> {
    const text = await readFile(join(this.folder, "databases"), "utf8").catch(() => "");
    return ["postgres", ...text.split("\n").filter(Boolean)];
  }

  // Single-user mode runs a statement without a server, a port or a client library.
  async #singleUser(statement: string, signal?: AbortSignal): Promise<void> {
    const command = await this.#command(this.#binaries.postgres, "--single", "-D", this.data, "postgres");
    const outcome = await runCommand(command, { cwd: this.folder, input: `${statement}\n`, signal });
    const failed = !outcome.ok || /\b(ERROR|FATAL|PANIC):/.test(outcome.text);
    if (failed && !/database ".*" already exists/.test(outcome.text)) {
      throw new StewardError(
        "SERVER_START_FAILED",
        `Postgres could not prepare its cluster. It wrote:\n${outcome.text}`,
      );
    }
  }

  /** What the pid file says, if there is one. */
  async postmaster(): Promise<Postmaster | undefined> {
    const text = await readFile(join(this.data, "postmaster.pid"), "utf8").catch(() => undefined);
    const lines = text?.split("\n");
    const pid = Number(lines?.[0]);
    if (lines === undefined || !Number.isInteger(pid) || pid <= 0) return undefined;
    return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === "ready" };
  }

  /**
   * Ends a server that outlived its owner, so that the next one is our child and ends with us. Only processes that
   * really work in this cluster are touched: process ids are used again after a crash or a reboot.
   */
  async endOrphan(): Promise<void> {
    if (process.platform === "linux") return this.#clear();
    const orphan = await this.postmaster();
    const since = orphan && (await startedAt(orphan.pid));
    if (orphan !== undefined && since !== undefined) await endProcess({ pid: orphan.pid, startedAt: since });
  }

  async #clear(): Promise<void> {
    const until = performance.now() + ORPHAN_WAIT_MS;
    let asked: number | undefined;
    for (let working = await this.#working(); working.length > 0; working = await this.#working()) {
      // One that has only begun has not named itself yet.
      const { pid } = (await this.postmaster()) ?? {};
      if (pid !== undefined && pid !== asked && working.includes(pid)) interrupt((asked = pid));
      // A single user, and backends without a postmaster, end by themselves within moments; frozen ones would not.
      if (performance.now() > until) for (const pid of working) sendSignal(pid, "SIGKILL");
      await sleep(POLL_MS);
    }
    // No process works here any more. Postgres would still believe in the file where its number belongs to a zombie,
    // or by now to some other process.
    await rm(join(this.data, "postmaster.pid"), { force: true });
  }

  #working(): Promise<number[]> {
    return processesIn(this.data, ["postgres"]);
  }
}

// Fast shutdown, also of a frozen server.
function interrupt(pid: number): void {
  sendSignal(pid, "SIGINT");
  sendSignal(pid, "SIGCONT");
}

async function endProcess(orphan: ProcessIdentity): Promise<void> {
  const until = performance.now() + ORPHAN_WAIT_MS;
  interrupt(orphan.pid);
  while (await isAlive(orphan)) {
    if (performance.now() > until) sendSignal(orphan.pid, "SIGKILL");
    await sleep(POLL_MS);
  }
}
