import type { CallAbout, Guard, MetricSample } from "@steward/core";
import {
  checkOptions,
  claimDatabase,
  connectionSeries,
  defineDriver,
  Exposures,
  Manager,
  type DriverFactory,
  type ManagerContext,
  type SilenceWatch,
} from "@steward/core/driver";
import type { Client, Pool } from "pg";
import { ask, probe } from "./health.ts";
import { pgPoolSchema, type CheckedOptions, type PgPoolOptions } from "./options.ts";
import { Connections } from "./pool/connections.ts";
import { GuardedPool } from "./pool/pool.ts";
import { watchSilence } from "./pool/silence.ts";
import { serverOf } from "./server/server.ts";

/** How long connections may take to say goodbye, in ms; then they are cut off. */
const GOODBYE_MS = 500;

/**
 * Looks after a `pg.Pool`: bounds how long anything waits for a connection, finds dead ones, and ends in time.
 *
 * @example
 * ```ts needs=postgres
 * import { PgPoolManager } from "@steward/pg";
 * await using manager = await new PgPoolManager({ url: process.env["DATABASE_URL"] }).start();
 * const { rows } = await manager.client.query("select 40 + $1::int as answer", [2]);
 * console.log(rows[0].answer); // => 42
 * ```
 */
export class PgPoolManager extends Manager<Pool> {
  readonly #options: CheckedOptions;
  readonly #pool: GuardedPool;
  readonly #exposures: Exposures;
  #connections: Connections | undefined;
  #watch: SilenceWatch<Client> | undefined;
  /** Connections that were cut off because of their silence. */
  #retired = 0;
  /** Renewals that were asked for, and which of them is in use. */
  #renewals = 0;
  #renewed = 0;
  /** Pools that end: their connections are cut off when this aborts. */
  #goodbye = new AbortController();
  readonly #ending = new Set<Promise<void>>();

  /** @throws {OPTIONS_INVALID} listing everything that is wrong with the options. */
  constructor(options: PgPoolOptions = {}, context: ManagerContext = {}) {
    super("pg", context);
    this.#options = checkOptions(this.name, pgPoolSchema, options);
    this.#exposures = new Exposures(this.name);
    this.#pool = new GuardedPool(this.guardBasis(), this.#options, () => this.renew());
  }

  /** The pool. Its identity holds through start, stop and renewal. */
  get client(): Pool {
    return this.#pool;
  }

  /** What its calls are in a trace. */
  protected override aboutCalls(): CallAbout {
    return { attributes: { "db.system.name": "postgresql", ...this.#connections?.server?.attributes } };
  }

  protected override async onStart(signal: AbortSignal): Promise<void> {
    const connections = (this.#connections = await this.#open()); // also where it fails, so that it is ended
    await probe(this.name, connections, { clock: this.clock, timeoutMs: this.#options.connectTimeoutMs, signal });
    const { environment } = this.#options;
    const query = async (text: string) => (await connections.pool.query<Record<string, unknown>>(text)).rows;
    if (environment !== undefined) await claimDatabase(this.name, environment, query);
    signal.throwIfAborted();
    this.#use(connections);
  }

  protected override onProbe(signal: AbortSignal): Promise<void> {
    const connections = this.#required();
    return probe(this.name, connections, { clock: this.clock, timeoutMs: this.#options.connectTimeoutMs, signal });
  }

  protected override async ask(signal: AbortSignal): Promise<void> {
    const connections = this.#required();
    await ask(this.name, connections, { clock: this.clock, timeoutMs: this.#options.connectTimeoutMs, signal });
    this.#watch?.serverAnswers();
  }

  protected override get hasWorkToDrain(): boolean {
    return !this.#pool.guard.isIdle;
  }

  protected override onDrain(): Promise<void> {
    return this.#pool.guard.idle();
  }

  protected override async onStop(signal: AbortSignal): Promise<void> {
    const goodbye = this.#goodbye;
    const [connections, cut] = [this.#connections, () => goodbye.abort()];
    this.#pool.guard.rejectPending(this.refusal());
    this.#pool.use(undefined);
    this.#watch?.stop();
    this.#connections = this.#watch = undefined;
    this.#retire(connections);
    const timer = this.clock.setTimeout(cut, GOODBYE_MS, { unref: true });
    signal.addEventListener("abort", cut, { once: true });
    await Promise.all(this.#ending);
    signal.removeEventListener("abort", cut);
    timer.cancel();
    this.#goodbye = new AbortController();
  }

  /** Replaces all connections, with credentials asked for anew: idle ones now, the others when they are given back. */
  protected override async replace(): Promise<void> {
    const [goodbye, renewal] = [this.#goodbye, ++this.#renewals];
    const connections = await this.#open();
    const old = this.#connections;
    // It was stopped meanwhile, or a renewal that was asked for later has been quicker.
    if (old === undefined || this.#goodbye !== goodbye || renewal < this.#renewed) return this.#retire(connections);
    this.#renewed = renewal;
    this.#watch?.stop();
    this.#use(connections);
    this.#retire(old);
  }

  protected override guards(): Iterable<Guard> {
    return [this.#pool.guard];
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    const { totalCount: size, idleCount: idle } = this.#pool;
    return {
      ...this.#pool.guard.stats(),
      size,
      idle,
      max: this.#options.maxConnections,
      retired: this.#retired,
      ...this.#exposures.stats,
    };
  }

  protected override series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { totalCount: size, idleCount: idle, guard } = this.#pool;
    return connectionSeries({ size, idle, max: this.#options.maxConnections }, guard.stats(), attributes);
  }

  async #open(): Promise<Connections> {
    const { client } = this.#options;
    if (client !== undefined) return Connections.of(client());
    const server = await serverOf(this.#options);
    this.#exposures.announce(server.exposures);
    return Connections.to(server, this.#options);
  }

  #use(connections: Connections): void {
    const { silenceMs, connectTimeoutMs } = this.#options;
    this.#connections = connections;
    this.#pool.use(connections);
    if (silenceMs === 0 || connections.server === undefined) return;
    const { name: resource, clock } = this;
    const onLost = (): void => void this.#retired++;
    this.#watch = watchSilence(connections, { resource, clock, silenceMs, connectTimeoutMs, onLost });
    this.#watch.start();
  }

  /** Ends connections that no one is given any more. */
  #retire(connections: Connections | undefined): void {
    if (connections === undefined) return;
    const ended = connections.end(this.#goodbye.signal, this.interruption()).finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  #required(): Connections {
    if (this.#connections === undefined) throw this.refusal();
    return this.#connections;
  }
}

/**
 * Defines a pool of pg, for what takes one: Prisma, Kysely, TypeORM and others.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts needs=postgres
 * import { container } from "@steward/container";
 * import { resource } from "@steward/core";
 * import { pgPool } from "@steward/pg";
 * import { Kysely, PostgresDialect, sql } from "kysely";
 *
 * const pool = pgPool("pool", { url: process.env["DATABASE_URL"], maxConnections: 20 });
 * const db = resource("db", {
 *   needs: { pool },
 *   start: ({ pool }) => new Kysely<Record<string, never>>({ dialect: new PostgresDialect({ pool }) }),
 * });
 * await using running = await container([db]).start();
 * const { rows } = await sql<{ answer: number }>`select 42 as answer`.execute(running.get(db));
 * console.log(rows[0]?.answer); // => 42
 * ```
 */
export const pgPool: DriverFactory<PgPoolOptions, Pool> = /* @__PURE__ */ defineDriver<PgPoolOptions, Pool>({
  kind: "pg",
  schema: pgPoolSchema,
  settings: { readiness: "startup" },
  create: (options, context) => new PgPoolManager(options, context),
  inherit: ({ timeoutMs, breaker, environment }) => ({ timeoutMs, breaker, environment }),
});
