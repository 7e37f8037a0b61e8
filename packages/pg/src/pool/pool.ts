import { Guard, StewardError, type Call, type Clock } from "@steward/core";
import { READS_ONLY, notForUsers, sqlKeyword, usualVerdict, type GuardBasis, type Verdict } from "@steward/core/driver";
import { Pool, type PoolClient, type QueryResult } from "pg";
import { connectFailed, leaseEnded, needsConnection, sqlState, statementFailed } from "../errors.ts";
import type { CheckedOptions } from "../options.ts";
import { hostOf } from "../server/server.ts";
import type { Connections } from "./connections.ts";
import { askDirectly } from "./direct.ts";
import { cancelByKey, isPooled } from "./known-client.ts";
import { cutOff, rawClient } from "./raw-client.ts";

/** What the last argument of the driver's methods may be. */
type Callback = (error: unknown, ...results: unknown[]) => void;

/** What a pool of the driver does, of which its types know only the forms. */
interface Queries {
  query(...args: readonly unknown[]): Promise<QueryResult>;
}

/** Only a backend of ours: behind a pooler the number may be that of another. */
const CANCEL = "select pg_cancel_backend(pid) from pg_stat_activity where pid = $1 and usename = current_user";
const CANCEL_AGAIN_MS = 1_000;

/** Events that a pool of the driver has. */
const EVENTS = ["connect", "acquire", "remove", "release", "error"] as const;

/**
 * The pool that users hold: a `pg.Pool` whose queries and leases pass a guard on their way to the connections of the moment.
 * It keeps its identity while connections come and go.
 */
export class GuardedPool extends Pool {
  readonly guard: Guard;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #limits: CheckedOptions;
  #connections: Connections | undefined;

  readonly #renew: () => Promise<void>;

  /** @param renew Replaces all connections. */
  constructor(basis: GuardBasis, options: CheckedOptions, renew: () => Promise<void>) {
    super({ max: options.maxConnections });
    const { maxConnections, maxPending, timeoutMs, acquireTimeoutMs, breaker } = options;
    this.#name = basis.resource;
    this.#clock = basis.clock;
    this.#renew = renew;
    this.guard = new Guard({
      ...basis,
      maxConcurrent: maxConnections,
      maxPending,
      acquireTimeoutMs,
      timeoutMs: Number.POSITIVE_INFINITY,
      holdUntilSettled: true,
      breaker,
      judge,
    });
    this.#limits = { ...options, timeoutMs: timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs };
    for (const name of ["totalCount", "idleCount", "expiredCount"] as const)
      Object.defineProperty(this, name, { get: () => this.#connections?.pool[name] ?? 0, enumerable: true });
    Object.defineProperty(this, "waitingCount", { get: () => this.guard.stats().pending, enumerable: true });
  }

  /** Where connections come from from here on. */
  use(connections: Connections | undefined): void {
    this.#connections = connections;
    if (connections === undefined) return;
    this.options = connections.pool.options;
    for (const event of EVENTS)
      connections.pool.on(event as "error", (...args) => {
        // As `error`, an event that no one listens to would end the process.
        if (event !== "error" || this.listenerCount(event) > 0) this.emit(event, ...args);
      });
  }

  override query = ((...args: unknown[]) => {
    const callback = callbackOf(args);
    if (isSubmittable(args[0])) return settled(callback, Promise.reject(needsConnection(this.#name)));
    const { timeoutMs } = this.#limits;
    return settled(
      callback,
      this.guard.run((call) => this.#query(call, args), {
        timeoutMs,
        operation: () => sqlKeyword(statementOf(args[0])),
      }),
    );
  }) as Pool["query"]; // one implementation for all its forms

  override connect = ((...args: unknown[]) => {
    const callback = callbackOf(args);
    const leased = new Promise<PoolClient>((resolve, reject) => {
      this.guard.run((call) => this.#lease(call, resolve), { operation: "lease" }).catch(reject);
    });
    if (callback === undefined) return leased;
    leased.then(
      (client) => callback(undefined, client, client.release.bind(client)),
      (error: unknown) => callback(error, undefined, () => {}),
    );
    return undefined;
  }) as Pool["connect"]; // as above

  /** The pool is shared, so only its owner ends it. */
  override end = ((...args: unknown[]) =>
    settled(callbackOf(args), Promise.reject(notForUsers(this.#name, "end")))) as Pool["end"]; // as above

  /** Runs one statement on a connection of its own. */
  async #query(call: Call, args: readonly unknown[]): Promise<QueryResult> {
    const client = await this.#take(call);
    const { signal } = call;
    let broken: Error | undefined;
    const giveUp = (): void => {
      broken = signal.reason instanceof Error ? signal.reason : new Error("given up");
      this.#giveUp(client, broken);
    };
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      return await (client as Queries).query(...args); // as its caller has written it
    } catch (error) {
      const failure = statementFailed(this.#name, error);
      if (sqlState(error) === "" && failure instanceof Error) broken = failure;
      throw failure;
    } finally {
      signal.removeEventListener("abort", giveUp);
      client.release(broken);
      if (this.#connections?.isSuspect(client) === true) await this.#examine(client);
    }
  }

  /** Hands out a connection, and resolves once it was given back. */
  async #lease(call: Call, resolve: (client: PoolClient) => void): Promise<void> {
    const client = await this.#take(call);
    const { transactionTimeoutMs } = this.#limits;
    call.held(transactionTimeoutMs === 0 ? Number.POSITIVE_INFINITY : transactionTimeoutMs);
    const { signal } = call;
    const release = client.release.bind(client);
    await new Promise<void>((done) => {
      let isRevoked = false;
      const end = (error?: Error | boolean): void => {
        if (isRevoked) return;
        signal.removeEventListener("abort", revoke);
        release(error);
        void this.#ended(client, done);
      };
      const revoke = (): void => {
        const reason = leaseEnded(this.#name, transactionTimeoutMs);
        isRevoked = true;
        cutOff(client, reason);
        release(reason); // its holder may have forgotten it
        done();
      };
      client.release = end;
      signal.addEventListener("abort", revoke, { once: true });
      resolve(client);
    });
  }

  /** Frees the place of a lease: in this turn, unless its server is asked first. */
  async #ended(client: PoolClient, done: () => void): Promise<void> {
    if (this.#connections?.isSuspect(client) === true) await this.#examine(client);
    done();
  }

  async #take(call: Call): Promise<PoolClient> {
    const connections = this.#connections;
    if (connections === undefined)
      throw new StewardError("RESOURCE_UNAVAILABLE", `${this.#name}: not started`, { resource: this.#name });
    let client: PoolClient;
    try {
      client = await connections.connect();
    } catch (error) {
      throw connectFailed(this.#name, connections.server?.label ?? "the server of your pool", error);
    }
    if (call.signal.aborted) {
      client.release();
      throw call.signal.reason;
    }
    call.acquired();
    return client;
  }

  /** After a failover all connections lead to a server that takes no writes any more. */
  async #examine(client: PoolClient): Promise<void> {
    const connections = this.#connections;
    const server = connections?.server;
    if (server === undefined) return;
    const bounds = { clock: this.#clock, timeoutMs: this.#limits.connectTimeoutMs };
    try {
      const [row] = await askDirectly<{ reads_only: boolean }>(hostOf(server, client), bounds, `select ${READS_ONLY}`);
      if (row?.reads_only === true && this.#connections === connections) await this.#renew();
    } catch {
      // The next one that is refused asks again.
    }
  }

  /**
   * Time is over, or no one waits any more: the server is to stop working on it, and the connection is not used again. A
   * cancel that arrives before the statement has begun is lost, so it is sent once more.
   */
  #giveUp(client: PoolClient, reason: Error): void {
    const { processID } = rawClient(client);
    if (isPooled(client)) return this.#cancelPooled(client, reason);
    cutOff(client, reason);
    if (processID === null) return;
    this.#cancel(client, processID);
    this.#clock.setTimeout(() => this.#cancel(client, processID), CANCEL_AGAIN_MS, { unref: true });
  }

  /** A pooler knows a client by its key, and only while it is connected. */
  #cancelPooled(client: PoolClient, reason: Error): void {
    const server = this.#connections?.server;
    const cut = (): void => cutOff(client, reason);
    if (server === undefined) cut();
    else void cancelByKey(client, hostOf(server, client), CANCEL_AGAIN_MS).then(cut);
  }

  #cancel(client: PoolClient, processID: number): void {
    const server = this.#connections?.server;
    if (server === undefined) return;
    const bounds = { clock: this.#clock, timeoutMs: this.#limits.connectTimeoutMs };
    askDirectly(hostOf(server, client), bounds, CANCEL, [processID]).catch(() => {}); // its connection is closed anyway
  }
}

/** Errors of SQL are answers; what says that the server goes, or takes no more, is a failure. */
function judge(error: unknown): Verdict {
  const state = sqlState(error);
  if (state === "") return usualVerdict(error);
  if (/^(08|57P|53300)/.test(state)) return "failure";
  return state.startsWith("53") ? "degraded" : "none";
}

/** Text of what is queried: a text, or an object that holds one. */
function statementOf(query: unknown): unknown {
  return typeof query === "object" && query !== null && "text" in query ? query.text : query;
}

/** A cursor or a stream, which reads on after its call has ended. */
function isSubmittable(query: unknown): boolean {
  return typeof query === "object" && query !== null && "submit" in query;
}

/** Takes the callback off the end of the arguments. */
function callbackOf(args: unknown[]): Callback | undefined {
  const last = args.at(-1);
  if (typeof last !== "function") return undefined;
  args.pop();
  return last as Callback; // the driver knows no other function there
}

function settled(callback: Callback | undefined, result: Promise<unknown>): Promise<unknown> | undefined {
  if (callback === undefined) return result;
  result.then(
    (value) => callback(undefined, value),
    (error: unknown) => callback(error, undefined),
  );
  return undefined;
}
