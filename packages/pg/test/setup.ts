import type { ManagerContext } from "@steward/core/driver";
import { failure, startFaultProxy, Watch, type FaultProxy } from "@steward/testing";
import { postgresForTests } from "@steward/launchers";
import type { Test as TapTest } from "tap";
import { PgPoolManager, type PgPoolOptions } from "../src/index.ts";

interface Test {
  teardown(end: () => unknown): unknown;
}

/** A server, for all tests of a file. */
export async function serverFor(test: Test) {
  const server = await postgresForTests();
  test.teardown(() => server[Symbol.asyncDispose]());
  return server;
}

/** A way to break the network to a server, for one test. */
export async function proxyTo(test: Test, url: string): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ target: url });
  test.teardown(() => proxy.stop());
  return proxy;
}

/** A started manager, for one test. */
export async function manage(test: Test, options: PgPoolOptions, context: ManagerContext = {}): Promise<PgPoolManager> {
  const manager = new PgPoolManager(options, context);
  test.teardown(() => manager.stop());
  return manager.start();
}

/** What a library does over a pool: `call` asks for one answer, `transaction` for one within a transaction. */
export interface Library {
  readonly call: () => Promise<unknown>;
  readonly transaction: () => Promise<unknown>;
}

/** Longest outage after connections went half-open, in ms of a machine of one's own. */
const OUTAGE_MS = 3_000;

/**
 * A library over a pool with default options whose connections go half-open: what was under way fails, a transaction too,
 * and within 3 s it answers again, with nothing left in use.
 */
export async function survivesHalfOpen(t: TapTest, manager: PgPoolManager, proxy: FaultProxy, of: Library) {
  await Promise.all([of.call(), of.transaction(), of.call()]); // more than one connection dies
  using watch = new Watch();
  const at = performance.now();
  proxy.halfOpen();
  const failed = await Promise.all([failure(of.transaction()), failure(of.call())]);
  for (const error of failed) t.match(error.cause ?? error, { code: "OUTCOME_UNKNOWN" });
  await of.call();
  await of.transaction();
  const outageMs = watch.elapsed(at);
  t.comment(`answers again after ${Math.round(outageMs)} ms`);
  t.ok(outageMs <= OUTAGE_MS, `${outageMs} ms`);
  t.equal(manager.stats()["inUse"], 0);
}
