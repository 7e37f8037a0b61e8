import { httpSession } from "@steward/http";
import { grpcChannel } from "@steward/grpc";
import { databasePool } from "@steward/database";
import { redisPool } from "@steward/redis";
import { redisCluster } from "@steward/redis/cluster";
import { webSocketSession } from "@steward/websocket";
import { cryptoBackend } from "@steward/crypto";
import { specOf, type AnyDefinition } from "@steward/core/container";
import t from "tap";

const defaults = { timeoutMs: 4_000, retry: { maxAttempts: 2 }, breaker: { consecutiveFailures: 2 } };
const { timeoutMs, retry, breaker } = defaults;

const inherited: readonly (readonly [AnyDefinition, object])[] = [
  [httpSession("http", {}), { timeoutMs, retry, breaker }],
  [grpcChannel("grpc", { address: "127.0.0.1:1", plaintext: true }), { timeoutMs, breaker }],
  [databasePool("database", { url: "postgres://localhost/app" }), { timeoutMs, breaker }],
  [redisPool("redis", { url: "redis://localhost" }), { timeoutMs, breaker }],
  [redisCluster("cluster", { cluster: [{ host: "localhost", port: 7000 }] }), { timeoutMs, breaker }],
  [webSocketSession("websocket", { url: "ws://localhost" }), { timeoutMs, breaker }],
  [cryptoBackend("crypto", {}), {}],
];

t.test("every driver inherits what a container says of calls, under the name of its own option", async (t) => {
  for (const [definition, expected] of inherited) {
    const { managed } = specOf(definition);
    const alone = managed?.prepare({}) as object; // what the factory was given
    t.strictSame(managed?.prepare({}, defaults), { ...alone, ...expected }, definition.name);
    t.equal(managed?.prepare({}), alone, "without defaults nothing is checked anew");
  }
});

t.test("an option of a driver wins", async (t) => {
  const own = { timeoutMs: 100, retry: false, breaker: false } as const;
  t.strictSame(specOf(httpSession("http", own)).managed?.prepare({}, defaults), own);
});
