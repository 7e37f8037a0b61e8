import { startFaultProxy, type FaultProxy } from "@steward/testing";
import { findRedis, startRedis, type RedisOptions, type RedisServer } from "@steward/testing/servers";
import type { ManagerContext } from "@steward/core";
import { RedisPoolManager, type RedisPoolOptions } from "../src/index.ts";

/** What `t.test` takes to skip a case where there is no Redis; with `CI=true` that is a failure instead. */
export const needsRedis: { skip?: string } = ((): { skip?: string } => {
  if (findRedis() !== undefined || process.env["CI"] === "true") return {};
  return { skip: "no redis-server or valkey-server on PATH" };
})();

/** What a test offers that these need. */
interface Test {
  teardown(end: () => Promise<unknown>): unknown;
}

/** A server that may be killed, for one test. */
export async function launch(test: Test, options: RedisOptions = {}): Promise<RedisServer> {
  const server = await startRedis(options);
  test.teardown(() => server.stop());
  return server;
}

/** A way to break the network to a server, for one test. */
export async function proxyTo(test: Test, target: { host: string; port: number }): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ target: { host: target.host, port: target.port } });
  test.teardown(() => proxy.stop());
  return proxy;
}

/** A started manager, for one test. */
export async function manage(
  test: Test,
  options: RedisPoolOptions,
  context: ManagerContext = {},
): Promise<RedisPoolManager> {
  const manager = new RedisPoolManager(options, context);
  test.teardown(() => manager.stop());
  return manager.start();
}

/** Resolves as soon as `done` holds. */
export async function until(done: () => boolean | Promise<boolean>, what: string, timeoutMs = 5_000): Promise<void> {
  const since = performance.now();
  while (!(await done())) {
    if (performance.now() - since > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** How one call of a load went. */
export interface Sample {
  /** When it was made, in ms since the load began. */
  readonly at: number;
  readonly tookMs: number;
  /** The code of its error, if it failed. */
  readonly code: string | undefined;
}

/** Calls at a steady rate, whether or not the ones before have been answered. */
export class Load {
  readonly samples: Sample[] = [];
  readonly #since = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Set<Promise<void>>();
  #made = 0;

  constructor(perSecond: number, call: () => Promise<unknown>) {
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - this.#since) / 1_000) * perSecond);
      while (this.#made < due) this.#make(call);
    }, 5);
  }

  /** Now, in ms since the load began. */
  get now(): number {
    return performance.now() - this.#since;
  }

  #make(call: () => Promise<unknown>): void {
    const at = this.now;
    this.#made++;
    const ended = (code: string | undefined): void => void this.samples.push({ at, tookMs: this.now - at, code });
    const one: Promise<void> = call()
      .then(
        () => ended(undefined),
        (error: { code?: string; message: string }) => ended(error.code ?? error.message),
      )
      .finally(() => this.#open.delete(one));
    this.#open.add(one);
  }

  run(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** Ends it, waits for the calls that are open, and tells how many had no answer after `graceMs`. */
  async stop(graceMs = 3_000): Promise<number> {
    clearInterval(this.#timer);
    const late = new Promise<void>((resolve) => setTimeout(resolve, graceMs).unref());
    await Promise.race([Promise.all(this.#open), late]);
    return this.#open.size;
  }

  /** The samples that failed. */
  get failures(): Sample[] {
    return this.samples.filter(({ code }) => code !== undefined);
  }

  /** When calls succeed again for good: the end of the last failure, in ms since the load began. */
  get healthyAt(): number {
    return Math.max(0, ...this.failures.map(({ at }) => at));
  }

  get slowestMs(): number {
    return Math.max(...this.samples.map(({ tookMs }) => tookMs));
  }

  /** How often each outcome came, for messages of tests. */
  get outcomes(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { code = "ok" } of this.samples) counts[code] = (counts[code] ?? 0) + 1;
    return counts;
  }
}
