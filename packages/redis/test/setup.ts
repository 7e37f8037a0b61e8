import { startFaultProxy, type FaultProxy } from "@steward/testing";
import { findRedis, startRedis, type RedisOptions, type RedisServer } from "@steward/launchers";
import { RedisPoolManager, type RedisPoolOptions } from "../src/index.ts";
import type { ManagerContext } from "@steward/core/driver";

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
