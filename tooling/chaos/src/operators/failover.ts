import { setTimeout as sleep } from "node:timers/promises";
import { row, type Row } from "@steward/harness";
import { RedisPoolManager } from "@steward/redis";
import { RedisClusterManager } from "@steward/redis/cluster";
import { Watch } from "@steward/testing";
import { startRedisCluster, startRedisSentinel, type RedisServer } from "@steward/launchers";

/** What writes have found while the server that they go to was killed and another one took its place. */
export interface FailedOver {
  readonly store: string;
  /** From the kill until writes went on in every slot that is written to, in ms without what the machine took. */
  readonly onAfterMs: number;
  /** Writes that a replica had too when their caller got its answer. */
  readonly acknowledged: number;
  /** Those of them that were gone afterwards. */
  readonly lost: number;
  readonly failed: number;
  /** Codes of those that failed. */
  readonly codes: readonly string[];
}

const WRITERS = 8;
const BEFORE_MS = 2_000;
const AFTER_MS = 8_000;
/** Two for each master, so that one is left to say that it has what the new master has. */
const REPLICAS = 2;
const MOST_MS = 3_000;

/** A connection of one's own, as `use` lends it. */
interface Writing {
  set(key: string, value: string): Promise<unknown>;
  wait(replicas: number, timeoutMs: number): Promise<number>;
}

/** What is written to. */
interface Place {
  readonly store: string;
  /** Lends a connection to where that key is. */
  use<T>(key: string, work: (connection: Writing) => Promise<T>): Promise<T>;
  get(key: string): Promise<string | null>;
  /** The server to be killed. */
  victim(): Promise<RedisServer | undefined>;
}

async function failOver({ store, use, get, victim }: Place): Promise<FailedOver> {
  const acknowledged: string[] = [];
  const codes = new Map<string, number>();
  const over = new AbortController();
  let killedAt = Number.POSITIVE_INFINITY;
  const onAgain = new Map<number, number>();
  using watch = new Watch();
  const write = async (slot: number): Promise<void> => {
    for (let n = 0; !over.signal.aborted; n++) {
      const [key, began] = [`{${slot}}:${n}`, performance.now()];
      try {
        const copies = await use(key, async (connection) => {
          await connection.set(key, key);
          return connection.wait(1, 500);
        });
        if (copies >= 1) acknowledged.push(key);
        if (began > killedAt && !onAgain.has(slot)) onAgain.set(slot, watch.elapsed(killedAt));
      } catch (error) {
        const { code = "none" } = error as { code?: string };
        codes.set(code, (codes.get(code) ?? 0) + 1);
        onAgain.delete(slot);
      }
      await sleep(5);
    }
  };
  const writers = Array.from({ length: WRITERS }, (_, slot) => write(slot));
  await sleep(BEFORE_MS);
  const server = await victim();
  killedAt = performance.now();
  await server?.kill();
  await sleep(AFTER_MS);
  over.abort();
  await Promise.all(writers);
  let lost = 0;
  for (const key of acknowledged) if ((await get(key)) !== key) lost++;
  const onAfterMs = onAgain.size < WRITERS ? Number.POSITIVE_INFINITY : Math.max(...onAgain.values());
  const failed = [...codes.values()].reduce((sum, n) => sum + n, 0);
  return { store, onAfterMs, acknowledged: acknowledged.length, lost, failed, codes: [...codes.keys()] };
}

async function ofSentinel(): Promise<FailedOver> {
  await using group = await startRedisSentinel({ replicas: REPLICAS });
  await using manager = await new RedisPoolManager({ sentinels: group.seeds, sentinelName: group.name }).start();
  const { client } = manager;
  return await failOver({
    store: "Redis with sentinels",
    use: (_key, work) => client.use(work),
    get: (key) => client.get(key),
    victim: async () => (await group.masters())[0],
  });
}

async function ofCluster(): Promise<FailedOver> {
  await using group = await startRedisCluster({ replicas: 3 * REPLICAS });
  await using manager = await new RedisClusterManager({ cluster: group.seeds }).start();
  const { client } = manager;
  return await failOver({
    store: "Redis Cluster",
    use: (key, work) => client.use(work, { key }),
    get: (key) => client.get(key),
    victim: async () => (await group.masters())[0],
  });
}

/** Kills a master under writes, one after the other: with sentinels, and of a cluster. */
export async function failovers(): Promise<readonly FailedOver[]> {
  return [await ofSentinel(), await ofCluster()];
}

/** What it had to show. */
export function failoverRows(found: readonly FailedOver[]): readonly Row[] {
  return found.flatMap(({ store, onAfterMs, acknowledged, lost }) => {
    const area = `${store}, a master killed`;
    return [
      row({ area, work: "writes go on after", unit: "ms", ours: Math.round(onAfterMs), bar: `<= ${MOST_MS}` }),
      row({ area, work: `lost, of ${acknowledged} that a replica had`, unit: "writes", ours: lost, bar: "= 0" }),
    ];
  });
}
