import { Guard, type StewardError } from "@steward/core";
import { aborted, usualVerdict, type GuardBasis, type Verdict } from "@steward/core/driver";
import type { RedisOptions } from "ioredis";
import type { Backend } from "../connection/backend.ts";
import type { LinkPlan } from "../connection/plan.ts";
import { ConnectionPool } from "../connection/pool.ts";
import { Subscriber } from "../connection/subscriber.ts";
import { claimServer } from "../connection/environment.ts";
import { probe } from "../health.ts";
import type { RedisSettings } from "../options.ts";
import { ClientEnded, Router, type RoutedClient } from "./router.ts";

/** What an assembly needs to know. */
export interface AssemblySetup {
  /** Of its manager. Its refusal is that of the state of the manager. */
  readonly basis: GuardBasis;
  readonly settings: RedisSettings;
  readonly makeBackend: (guard: Guard) => Backend;
  /** The client that users hold, for its events. It is made after the assembly. */
  readonly client: () => RoutedClient;
}

/** Everything below a client that is looked after: the guard, the shared connection, the lent ones, the subscriptions. */
export class Assembly {
  readonly backend: Backend;
  readonly router: Router;
  readonly facade: FacadeOptions;
  readonly guard: Guard;
  readonly #setup: AssemblySetup;
  readonly #leaseGuard: Guard;
  readonly #pool: ConnectionPool;
  /** Of the client, and of copies of it that have not ended. */
  readonly #routers = new Set<Router>();

  constructor(setup: AssemblySetup) {
    this.#setup = setup;
    const { basis, settings } = setup;
    const { resource, clock } = basis;
    const { maxConcurrent, maxPending, timeoutMs, breaker = {} } = settings;
    const unavailable = (): StewardError | undefined => basis.refusal?.();
    const refusal = (): StewardError | undefined => unavailable() ?? this.backend.refusal();
    const bounds = { maxConcurrent, maxPending, timeoutMs, holdUntilSettled: true };
    const guard = new Guard({
      ...basis,
      ...bounds,
      refusal,
      breaker,
      judge,
    });
    const { about } = basis;
    this.#leaseGuard = new Guard({ resource, clock, holdUntilSettled: true, about });
    this.facade = facadeOptions(settings);
    this.guard = guard;
    this.#pool = new ConnectionPool({ resource, clock, settings, refusal: unavailable, about });
    this.backend = setup.makeBackend(guard);
    this.router = this.#routerFor(setup.client, false);
    this.#routers.add(this.router);
  }

  #routerFor(client: () => RoutedClient, isCopy: boolean): Router {
    const { basis, settings } = this.#setup;
    const { resource, clock } = basis;
    const events = {
      emit: (event: string, ...values: readonly unknown[]) => void client().emit(event, ...values),
      listens: (event: string) => client().listenerCount(event) > 0,
    };
    const plan = (): LinkPlan => this.backend.planFor(undefined);
    return new Router({
      resource,
      unavailable: () => basis.refusal?.(),
      timeoutMs: settings.timeoutMs,
      facade: this.facade,
      guard: this.guard,
      leaseGuard: this.#leaseGuard,
      backend: this.backend,
      pool: this.#pool,
      subscriber: new Subscriber({ resource, clock, settings, plan, events }),
      client,
      isCopy,
      copies: {
        make: (copy) => this.#routerFor(copy, true),
        add: (router) => this.#routers.add(router),
        delete: (router) => this.#routers.delete(router),
      },
    });
  }

  /** Announces a change of the connection to the client and its copies, as the driver would. */
  announce(status: "ready" | "reconnecting" | "end"): void {
    for (const { client } of this.#routers) client.announce(status);
  }

  async open(signal: AbortSignal): Promise<void> {
    this.#pool.open();
    await this.backend.open(signal);
    await Promise.race([this.#claim(), aborted(signal)]);
    signal.throwIfAborted();
    for (const { subscriber } of this.#routers) subscriber.open();
  }

  async #claim(): Promise<void> {
    const { basis, settings } = this.#setup;
    const { environment, keyPrefix = "" } = settings;
    if (environment !== undefined)
      await claimServer({ resource: basis.resource, environment, keyPrefix, backend: this.backend });
  }

  ping(signal: AbortSignal): Promise<void> {
    return probe(this.backend, signal);
  }

  ask(signal: AbortSignal): Promise<void> {
    return this.backend.ask(signal);
  }

  /** Waits for the work in flight. What only waits for something to come is notified that nothing will. */
  async settle(): Promise<void> {
    await Promise.all([this.guard.idle(), this.#pool.settle()]);
  }

  /**
   * Ends everything. What has a connection lent has until `signal` aborts, and a blocking command is woken: cut off, it
   * could take an element along that the server gave away.
   */
  async close(signal: AbortSignal, reason: StewardError): Promise<void> {
    this.guard.rejectPending(reason);
    this.#pool.close(reason);
    await Promise.race([this.#pool.settle(), aborted(signal)]);
    this.#pool.end();
    for (const { subscriber } of this.#routers) subscriber.close(reason);
    await this.backend.close(signal, reason);
  }

  async renew(): Promise<void> {
    await this.backend.renew();
    this.#pool.renew();
    for (const { subscriber } of this.#routers) subscriber.renew();
  }

  measure(): Readonly<Record<string, unknown>> {
    const subscribers = [...this.#routers].map(({ subscriber }) => subscriber);
    return {
      ...this.guard.stats(),
      ...this.backend.stats(),
      subscriptions: subscribers.reduce((sum, { size }) => sum + size, 0),
      subscriberConnections: subscribers.filter(({ connected }) => connected).length,
      dedicated: Object.freeze(this.#pool.stats()),
    };
  }
}

type FacadeOptions = Pick<RedisOptions, "lazyConnect" | "keyPrefix">;

/** What the facades of the driver need to know; they never connect by themselves. */
function facadeOptions({ keyPrefix = "", environment }: RedisSettings): FacadeOptions {
  const prefix = environment === undefined ? keyPrefix : `${keyPrefix}${environment}:`;
  return { lazyConnect: true, ...(prefix === "" ? {} : { keyPrefix: prefix }) };
}

/** A server that replies is well, whatever it replies; the end of a copy says nothing of it. */
function judge(error: unknown): Verdict {
  if (error instanceof ClientEnded) return "none";
  return error instanceof Error && error.name === "ReplyError" ? "none" : usualVerdict(error);
}
