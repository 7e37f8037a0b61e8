// One instance of a service: node program.js <plan as JSON>. Reads and writes rows through its cache until its parent sends
// a message, and sends what it has read.
import { CacheManager } from "@steward/cache";
import type { RedisCommands } from "@steward/core";
import { redisPubSub, RedisPoolManager, redisRunner } from "@steward/redis";
import { setTimeout as sleep } from "node:timers/promises";
import { CONTROLS } from "./controls.ts";
import type { Counts, Plan } from "./plan.ts";
import { ROWS, Truth } from "./truth.ts";

const LANES = 60;
const WRITES = 0.15;
const SLOWEST_LOAD_MS = 20;

const plan = JSON.parse(process.argv[2] ?? "{}") as Plan; // of the parent
const { now } = Date;
Date.now = () => now() + plan.clockOffMs;
process.on("disconnect", () => process.exit(1)); // the parent is gone

const truth = new Truth(plan.truthUrl);
const options = { connectTimeoutMs: 30_000 }; // for a machine that does much else
const redis = await new RedisPoolManager({ url: plan.url, ...options }).start();
const heard = await new RedisPoolManager({ url: plan.busUrl, ...options }).start();
const runner = redisRunner(redis.client);
const change = CONTROLS[plan.control ?? ""] ?? ((script: string) => script);
const changed = (commands: RedisCommands): RedisCommands => ({
  ...commands,
  script: (source, keys, args) => commands.script(change(source), keys, args),
});
const manager = await new CacheManager<number>({
  ttlMs: 60_000,
  remote: {
    redis: { ...changed(runner), binary: changed(runner.binary) },
    prefix: plan.prefix,
    localTtlMs: plan.localTtlMs,
    ...(plan.hasBus && { bus: redisPubSub(heard.client) }),
  },
}).start();
const cache = manager.client;

let counts: Counts = { reads: 0, stale: 0, late: 0, writes: 0, unsent: 0, failed: 0 };
let failure = "";
function count(...names: (keyof Counts)[]): void {
  for (const name of names) counts = { ...counts, [name]: counts[name] + 1 };
}
function send(): void {
  process.send?.({ counts, failure, refused: manager.stats().refusedWrites });
  counts = { reads: 0, stale: 0, late: 0, writes: 0, unsent: 0, failed: 0 };
}

async function read(row: number): Promise<void> {
  const load = async (): Promise<number> => {
    const version = await truth.version(row);
    await sleep(Math.random() * SLOWEST_LOAD_MS);
    return version;
  };
  const [bounded, least] = await truth.least(row, plan.boundMs);
  const tags = [`row:${row}`];
  const got = await cache.getOrLoad(["row", row], load, { tags: row % 2 === 0 ? tags : () => tags });
  count("reads");
  if (typeof got !== "number" || got < bounded) count("stale");
  else if (got < least) count("late");
}

async function write(row: number): Promise<void> {
  const version = await truth.change(row);
  const by = Math.random();
  const { spread } = await (by < 0.45
    ? cache.delete(["row", row])
    : by < 0.9
      ? cache.invalidate(`row:${row}`)
      : cache.clear());
  count("writes");
  if (spread) await truth.makeVoid(row, version);
  else count("unsent");
}

const over = new AbortController();
process.on("message", () => over.abort());
const sending = setInterval(send, 100);
async function lane(): Promise<void> {
  while (!over.signal.aborted) {
    const row = Math.floor(Math.random() * ROWS);
    await (Math.random() < WRITES ? write(row) : read(row)).catch((error: unknown) => {
      count("failed");
      failure = String(error);
    });
  }
}
await Promise.all(Array.from({ length: LANES }, lane));
clearInterval(sending);
send();
process.exit(0);
