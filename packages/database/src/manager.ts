import type { CallAbout, Guard, MetricSample, PubSub } from "@steward/core";
import {
  checkOptions,
  claimDatabase,
  connectionSeries,
  Exposures,
  Manager,
  type ManagerContext,
  type SilenceWatch,
} from "@steward/core/driver";
import { drizzle, PostgresJsDatabase, PostgresJsSession } from "drizzle-orm/postgres-js";
import type { Sql } from "postgres";
import type { Connection } from "./connections/connection.ts";
import { GivenSupply } from "./client/given.ts";
import { PooledClient } from "./client/client.ts";
import { forDrizzle, type DrizzleClient } from "./client/scope.ts";
import { attachSeam } from "./client/seam.ts";
import { EmbeddedSocket, startEmbedded, type EmbeddedServer } from "./connections/embedded/server.ts";
import { endpointOf, type Endpoint } from "./connections/endpoint.ts";
import { endPool, Pool } from "./connections/pool.ts";
import { ReplicaSupply } from "./connections/replicas.ts";
import { watchSilence } from "./connections/silence.ts";
import { checkCapacity } from "./direct/capacity.ts";
import { onDirectConnection } from "./direct/direct.ts";
import { Listening } from "./direct/listening.ts";
import { runMigrations } from "./direct/migrate.ts";
import { askServer, probeClient, probePool } from "./health.ts";
import { databaseSchema, type DatabaseInput, type DatabaseOptions, type Schema } from "./options.ts";

/** A drizzle database over a pool that is looked after; `$client` is its client of postgres.js. */
export type Database<TSchema extends Schema = Record<string, never>> = PostgresJsDatabase<TSchema> & { $client: Sql };

/**
 * Looks after a pool of Postgres connections: bounds how many there are and how long anything waits for one, replaces
 * dead ones, applies migrations at start, and ends in time.
 *
 * @throws {OPTIONS_INVALID} listing everything that is wrong with the options.
 *
 * @example
 * ```ts
 * import { sql } from "drizzle-orm";
 * import { DatabasePoolManager } from "@steward/database";
 *
 * await using database = await new DatabasePoolManager({ embedded: {} }).start();
 * const [row] = await database.client.execute(sql`select 40 + 2 as answer`);
 * console.log(row?.["answer"]); // => 42
 * ```
 */
export class DatabasePoolManager<TSchema extends Schema = Record<string, never>> extends Manager<Database<TSchema>> {
  readonly #options: DatabaseOptions;
  readonly #pooled: PooledClient;
  /** For reading from replicas. */
  readonly #reading: PooledClient | undefined;
  readonly #database: Database<TSchema>;
  readonly #listening: Listening;
  readonly #exposures: Exposures;
  #pool: Pool | undefined;
  #replicas: ReplicaSupply | undefined;
  #watch: SilenceWatch<Connection> | undefined;
  #endpoint: Endpoint | undefined;
  #embedded: EmbeddedServer | undefined;
  #drained = false;

  constructor(options: DatabaseInput<TSchema>, context: ManagerContext = {}) {
    super("database", patient(options, context));
    this.#exposures = new Exposures(this.name);
    this.#options = checkOptions(this.name, databaseSchema, options);
    const { connectTimeoutMs, acquireTimeoutMs, client } = this.#options;
    this.#listening = new Listening(
      { name: this.name, clock: this.clock, connectTimeoutMs, acquireTimeoutMs },
      () => this.unavailable() ?? this.#endpoint,
      client,
    );
    const { maxConnections, replicas } = this.#options;
    this.#pooled = this.#makePooled(maxConnections);
    this.#reading = replicas.length === 0 ? undefined : this.#makePooled(maxConnections * replicas.length);
    this.#database = this.#makeDatabase(
      this.#pooled,
      this.#reading === undefined ? undefined : this.#makeDatabase(this.#reading),
    );
  }

  /** What its calls are in a trace. */
  protected override aboutCalls(): CallAbout {
    return { attributes: { "db.system.name": "postgresql", ...this.#endpoint?.attributes } };
  }

  #makePooled(maxConnections: number): PooledClient {
    return new PooledClient(this.guardBasis(), { ...this.#options, maxConnections }, this.#listening);
  }

  /** The database. Its identity holds through start, stop and renewal. */
  get client(): Database<TSchema> {
    return this.#database;
  }

  #makeDatabase(pooled: PooledClient, reader?: object): Database<TSchema> {
    const { schema, casing, logger, client } = this.#options;
    const config = {
      ...(schema === undefined ? {} : { schema }),
      ...(casing === undefined ? {} : { casing }),
      ...(logger === undefined ? {} : { logger }),
    };
    // drizzle sets its parsers on a client that was handed over, as it would without us.
    const drizzleClient = pooled.drizzleClient(client?.options as DrizzleClient["options"] | undefined);
    const made = drizzle(forDrizzle(drizzleClient), config);
    const { sql, builder } = pooled;
    const pubSub: PubSub = this.#listening.pubSub(() => sql);
    attachSeam(made, {
      name: this.name,
      clock: this.clock,
      builder,
      acquire: (call) => pooled.acquire(call),
      over: overOf(made),
      pubSub,
      reader: reader ?? made,
    });
    return Object.assign(made, { $client: sql }) as Database<TSchema>; // `schema` is a TSchema where it was given
  }

  protected override async onStart(signal: AbortSignal): Promise<void> {
    const { client } = this.#options;
    if (client !== undefined) return this.#openGiven(client, signal);
    const { connectTimeoutMs, idleConnectionTimeoutMs, maxLifetimeMs, maxConnections, silenceMs, instances } =
      this.#options;
    const endpoint = await this.#dial();
    signal.throwIfAborted(); // a URL that comes too late is not for the next start
    this.#endpoint = endpoint;
    this.#exposures.announce(endpoint.exposures());
    await this.#claim(endpoint, signal);
    await this.#migrate(endpoint, signal);
    const pool = (this.#pool = new Pool(this.name, this.clock, endpoint, {
      maxConnections,
      connectTimeoutMs,
      idleConnectionTimeoutMs,
      maxLifetimeMs,
    }));
    await pool.prove((connection) => checkCapacity(this.name, connection, { instances, maxConnections }));
    signal.throwIfAborted();
    this.#pooled.supply = pool;
    this.#watch = watchSilence(pool, silenceMs, connectTimeoutMs);
    this.#watch.start();
    if (this.#reading !== undefined) await this.#openReplicas(this.#reading, pool);
    this.#listening.start(endpoint);
  }

  async #dialReplicas({ builder }: PooledClient): Promise<readonly Endpoint[]> {
    const urls = await Promise.all(this.#options.replicas.map((url) => url.reveal()));
    const options = { ...this.#options, session: "any" as const };
    return urls.map((url) => endpointOf(this.name, options, url, builder));
  }

  async #openReplicas(reading: PooledClient, primary: Pool): Promise<void> {
    const endpoints = await this.#dialReplicas(reading);
    for (const endpoint of endpoints) this.#exposures.announce(endpoint.exposures());
    this.#replicas = reading.supply = new ReplicaSupply(this.name, this.clock, endpoints, primary, this.#options);
    this.#replicas.start();
  }

  async #openGiven(client: Sql, signal: AbortSignal): Promise<void> {
    this.#pooled.supply = new GivenSupply(this.name, client);
    await probeClient(client, signal);
    const { environment } = this.#options;
    if (environment !== undefined) await claimDatabase(this.name, environment, (text) => client.unsafe(text));
  }

  /** Before anything is changed there. */
  async #claim(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
    const { environment, connectTimeoutMs } = this.#options;
    if (environment === undefined) return;
    const { name, clock } = this;
    await onDirectConnection({ name, clock }, endpoint, { connectTimeoutMs, signal }, (connection) =>
      claimDatabase(name, environment, (text) => connection.query(text)),
    );
  }

  async #dial(): Promise<Endpoint> {
    const { url, embedded } = this.#options;
    const { builder } = this.#pooled;
    if (embedded === undefined) return endpointOf(this.name, this.#options, await url?.reveal(), builder);
    const server = (this.#embedded = await startEmbedded(this.name, embedded.dataDir));
    return endpointOf(this.name, this.#options, undefined, builder, () => new EmbeddedSocket(server));
  }

  async #migrate(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
    const { migrations, connectTimeoutMs } = this.#options;
    if (migrations === undefined) return;
    const { builder } = this.#pooled;
    const direct =
      migrations.url === undefined
        ? endpoint
        : endpointOf(this.name, this.#options, await migrations.url.reveal(), builder);
    this.#exposures.announce(direct.exposures());
    if (direct !== endpoint) await this.#claim(direct, signal); // it may lead elsewhere
    await runMigrations({ name: this.name, clock: this.clock, builder, connectTimeoutMs, signal }, direct, migrations);
  }

  protected override onProbe(signal: AbortSignal): Promise<void> {
    const { client, connectTimeoutMs } = this.#options;
    if (client !== undefined) return probeClient(client, signal);
    return this.#pool === undefined
      ? Promise.reject(this.refusal())
      : probePool(this.#pool, { connectTimeoutMs, signal });
  }

  /** Over a connection of its own: those that calls use, or wait for, may be what is dead. */
  protected override async ask(signal: AbortSignal): Promise<void> {
    const { client, connectTimeoutMs } = this.#options;
    if (client !== undefined) return probeClient(client, signal);
    const pool = this.#pool;
    if (pool === undefined) throw this.refusal();
    await askServer(pool, { connectTimeoutMs, signal });
    pool.serverAnswers();
    this.#watch?.serverAnswers();
  }

  protected override get hasWorkToDrain(): boolean {
    for (const guard of this.guards()) {
      const { inUse, pending } = guard.stats();
      if (inUse + pending > 0) return true;
    }
    return false;
  }

  protected override onDrain(): Promise<void> {
    this.#drained = true;
    return Promise.all([this.#pooled.guard.idle(), this.#reading?.guard.idle()]).then(() => {});
  }

  protected override async onStop(signal: AbortSignal): Promise<void> {
    const [pool, replicas, embedded, ending] = [
      this.#pool,
      this.#replicas,
      this.#embedded,
      { signal, atOnce: this.#drained, refusal: this.refusal(), interruption: this.interruption() },
    ];
    this.#pool = this.#replicas = this.#embedded = this.#endpoint = undefined;
    this.#drained = false;
    for (const pooled of [this.#pooled, this.#reading]) pooled?.guard.rejectPending(ending.refusal);
    this.#watch?.stop();
    this.#listening.stop();
    await Promise.all([replicas?.end(ending), pool === undefined ? undefined : endPool(pool, ending)]);
    for (const pooled of [this.#pooled, this.#reading]) if (pooled !== undefined) pooled.supply = undefined;
    await embedded?.close();
  }

  /** Replaces all connections, with credentials asked for anew: idle ones now, the others as soon as they are free. */
  protected override async replace(): Promise<void> {
    const [pool, { url, replicas }] = [this.#pool, this.#options];
    // URLs that are fetched may name other users by now.
    const endpoint = url?.isFetched === true ? await this.#dial() : this.#endpoint;
    const isReading = this.#reading !== undefined && replicas.some(({ isFetched }) => isFetched);
    const ofReplicas = isReading ? await this.#dialReplicas(this.#reading) : [];
    if (pool === undefined || this.#pool !== pool) return; // there is none, or it was stopped meanwhile
    pool.endpoint = this.#endpoint = endpoint ?? pool.endpoint;
    pool.renew();
    this.#replicas?.renew(ofReplicas);
  }

  protected override *guards(): Iterable<Guard> {
    yield this.#pooled.guard;
    if (this.#reading !== undefined) yield this.#reading.guard;
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { idle, size } = this.#pool?.stats() ?? { idle: 0, size: 0 };
    const { maxConnections: max } = this.#options;
    yield* connectionSeries({ size, idle, max }, this.#pooled.guard.stats(), attributes);
    yield {
      name: "steward.database.overdue_leases",
      kind: "gauge",
      unit: "{lease}",
      attributes,
      value: this.#pooled.overdueLeases + (this.#reading?.overdueLeases ?? 0),
    };
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    const pool = this.#pool?.stats() ?? { size: 0, idle: 0, connecting: 0, opened: 0, retired: 0 };
    const own = {
      ...this.#pooled.guard.stats(),
      ...pool,
      max: this.#options.maxConnections,
      ...this.#exposures.stats,
    };
    if (this.#reading === undefined) return own;
    return { ...own, replicas: { ...this.#reading.guard.stats(), lagsMs: this.#replicas?.lagsMs ?? [] } };
  }
}

/** Makes further databases with the tables and settings of a first one, without drizzle's costly look at the tables. */
function overOf(first: PostgresJsDatabase<Schema>): (client: DrizzleClient) => PostgresJsDatabase<Schema> {
  // drizzle's types hide what its own transactions use in the same way.
  const { dialect, session } = first as unknown as { dialect: never; session: { schema: never; options: never } };
  return (client) =>
    new PostgresJsDatabase(
      dialect,
      new PostgresJsSession(client as never, dialect, session.schema, session.options) as never,
      session.schema,
    );
}

/** How long a Postgres inside this process may take to start, in ms: it is work of this machine alone, which may be busy. */
const EMBEDDED_START_MS = 60_000;

function patient(options: { readonly embedded?: unknown } | undefined, context: ManagerContext): ManagerContext {
  if (options?.embedded === undefined || context.startTimeoutMs !== undefined) return context;
  return { ...context, startTimeoutMs: EMBEDDED_START_MS };
}
