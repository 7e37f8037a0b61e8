import type { Clock, Timer } from "@steward/core";
import type { SilenceWatch } from "@steward/core/driver";
import type { Supply } from "../client/client.ts";
import { askPool } from "../health.ts";
import type { Connection } from "./connection.ts";
import type { Line, Taker } from "./line.ts";
import type { Endpoint } from "./endpoint.ts";
import { endPool, Pool, type Ending, type PoolOptions } from "./pool.ts";
import { watchSilence } from "./silence.ts";

/** Bounds of reading from replicas. */
export interface ReplicaOptions extends PoolOptions {
  readonly silenceMs: number;
  /** Lag from which on a replica is not read. */
  readonly maxReplicaLagMs: number;
  /** Time between two looks at the lag. */
  readonly replicaCheckMs: number;
}

interface Replica {
  readonly pool: Pool;
  readonly watch: SilenceWatch<Connection>;
  /** `Infinity` while it is unknown, or the replica does not answer. */
  lagMs: number;
  check: Timer | undefined;
}

/**
 * Age of what a server shows, in ms. One that has replayed all that it received is up to date, as long as it still
 * receives; a primary always is.
 */
const LAG = `select case
  when not pg_is_in_recovery() then 0
  when exists (select 1 from pg_stat_wal_receiver where pid is not null) and pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() then 0
  else coalesce(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000, 'Infinity') end::float8 as lag`;

/** Connections to read replicas: to one that is near enough to the primary, else to the primary itself. */
export class ReplicaSupply implements Supply {
  readonly #clock: Clock;
  readonly #options: ReplicaOptions;
  readonly #primary: Supply;
  readonly #replicas: readonly Replica[];
  readonly #stopped = new AbortController();
  #turn = 0;

  constructor(name: string, clock: Clock, endpoints: readonly Endpoint[], primary: Supply, options: ReplicaOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#primary = primary;
    this.#replicas = endpoints.map((endpoint, i) => {
      const pool = new Pool(`${name} (replica ${i + 1})`, clock, endpoint, options);
      return {
        pool,
        watch: watchSilence(pool, options.silenceMs, options.connectTimeoutMs),
        lagMs: Number.POSITIVE_INFINITY,
        check: undefined,
      };
    });
  }

  /** Begins to look at the lag; until a replica is known to be near, the primary is read. */
  start(): void {
    for (const replica of this.#replicas) {
      replica.watch.start();
      void this.#check(replica);
    }
  }

  get trouble(): unknown {
    return this.#primary.trouble;
  }

  take(taker: Taker): void {
    const replica = this.#nearest();
    if (replica === undefined) this.#primary.take(taker);
    else replica.pool.take(taker);
  }

  /** In turn among those that are near enough. */
  #nearest(): Replica | undefined {
    const near = this.#replicas.filter((replica) => replica.lagMs <= this.#options.maxReplicaLagMs);
    return near[this.#turn++ % near.length];
  }

  leave(taker: Taker): boolean {
    return this.#replicas.some(({ pool }) => pool.leave(taker)) || this.#primary.leave(taker);
  }

  release(line: Line): void {
    const { owner } = line as Connection; // replicas exist for pools of ours alone
    const replica = this.#replicas.find(({ pool }) => pool === owner);
    (replica?.pool ?? this.#primary).release(line);
  }

  async #check(replica: Replica): Promise<void> {
    const { connectTimeoutMs, replicaCheckMs } = this.#options;
    const abort = new AbortController();
    const timer = this.#clock.setTimeout(() => abort.abort(), connectTimeoutMs, { unref: true });
    try {
      const [row] = await askPool(replica.pool, { connectTimeoutMs, signal: abort.signal }, LAG);
      replica.lagMs = Number(row?.["lag"]);
    } catch {
      replica.lagMs = Number.POSITIVE_INFINITY;
    }
    timer.cancel();
    if (this.#stopped.signal.aborted) return;
    // A caller that waits for a replica that is gone is served elsewhere.
    if (replica.lagMs === Number.POSITIVE_INFINITY) for (const taker of replica.pool.dismiss()) this.take(taker);
    replica.check = this.#clock.setTimeout(() => void this.#check(replica), replicaCheckMs, { unref: true });
  }

  /**
   * Replaces the connections to all replicas.
   *
   * @param endpoints where they lead from here on; none where that has not changed.
   */
  renew(endpoints: readonly Endpoint[]): void {
    for (const [i, { pool }] of this.#replicas.entries()) {
      pool.endpoint = endpoints[i] ?? pool.endpoint;
      pool.renew();
    }
  }

  /** Ends the connections to all replicas. */
  async end(ending: Ending): Promise<void> {
    this.#stopped.abort();
    for (const { check, watch } of this.#replicas) {
      check?.cancel();
      watch.stop();
    }
    await Promise.all(this.#replicas.map(({ pool }) => endPool(pool, ending)));
  }

  /** Lag of each replica, in ms; `Infinity` for one that does not answer. */
  get lagsMs(): readonly number[] {
    return this.#replicas.map(({ lagMs }) => lagMs);
  }
}
