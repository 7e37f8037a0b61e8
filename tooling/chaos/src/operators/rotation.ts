import { setTimeout as sleep } from "node:timers/promises";
import { DatabasePoolManager } from "@steward/database";
import { row, type Row } from "@steward/harness";
import { RedisPoolManager } from "@steward/redis";
import { startPostgres, startRedis } from "@steward/launchers";
import { Redis } from "ioredis";
import postgres from "postgres";

/** What calls under passwords that are replaced have found, of one store. */
export interface Rotated {
  readonly store: string;
  readonly turns: number;
  readonly calls: number;
  /** Codes of those that failed. */
  readonly failures: readonly string[];
  /** Old passwords that the server still took. */
  readonly taken: number;
}

const CALLERS = 8;
const EVERY_MS = 2_000;

/** A store whose password can be replaced. */
interface Place {
  readonly store: string;
  /** Makes the server take that password, and no other. */
  replace(password: string): Promise<unknown>;
  renew(): Promise<unknown>;
  call(): Promise<unknown>;
  /** Whether the server lets somebody in with it. */
  takes(password: string): Promise<boolean>;
}

async function rotate(place: Place, turns: number, vault: { password: string }): Promise<Rotated> {
  const over = new AbortController();
  const failures: string[] = [];
  let calls = 0;
  let taken = 0;
  const call = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await place.call().catch((error: { code?: string }) => void failures.push(String(error.code ?? error)));
      calls++;
      await sleep(2);
    }
  };
  const callers = Array.from({ length: CALLERS }, call);
  for (let turn = 0; turn < turns; turn++) {
    const [old, next] = [vault.password, `password-${turn}`];
    await place.replace(next);
    vault.password = next;
    await place.renew();
    if (await place.takes(old)) taken++;
    await sleep(EVERY_MS);
  }
  over.abort();
  await Promise.all(callers);
  return { store: place.store, turns, calls, failures, taken };
}

async function onPostgres(turns: number): Promise<Rotated> {
  await using server = await startPostgres();
  const admin = postgres(server.url, { max: 1, onnotice() {} });
  await admin`create role rotated login password 'first'`;
  const vault = { password: "first" };
  const url = Object.assign(new URL(server.url), { username: "rotated", password: "" }).href;
  await using manager = await new DatabasePoolManager({
    url,
    password: () => vault.password,
    maxConnections: 4,
  }).start();
  const takes = async (password: string): Promise<boolean> => {
    const own = postgres(Object.assign(new URL(url), { password }).href, { max: 1, onnotice() {} });
    const isIn = await own`select 1`.then(
      () => true,
      () => false,
    );
    await own.end({ timeout: 1 });
    return isIn;
  };
  const found = await rotate(
    {
      store: "Postgres",
      replace: (password) => admin.unsafe(`alter role rotated password '${password}'`),
      renew: () => manager.renew(),
      call: async () => manager.client.$client`select 1`,
      takes,
    },
    turns,
    vault,
  );
  await admin.end();
  return found;
}

async function onRedis(turns: number): Promise<Rotated> {
  await using server = await startRedis();
  const admin = new Redis(server.url);
  const set = (password: string): Promise<unknown> =>
    admin.call("ACL", "SETUSER", "rotated", "reset", "on", `>${password}`, "+@all", "~*", "&*");
  await set("first");
  const vault = { password: "first" };
  const at = { host: "127.0.0.1", port: Number(new URL(server.url).port), username: "rotated" };
  await using manager = await new RedisPoolManager({ ...at, password: () => vault.password }).start();
  const takes = async (password: string): Promise<boolean> => {
    const own = new Redis({ ...at, password, lazyConnect: true, retryStrategy: null });
    own.on("error", () => {});
    const isIn = await own.connect().then(
      () => true,
      () => false,
    );
    own.disconnect();
    return isIn;
  };
  const { client } = manager;
  const call = async (): Promise<unknown> => Promise.all([client.incr("n"), client.blpop("nothing", 0.01)]);
  const found = await rotate(
    { store: "Redis", replace: (password) => set(password), renew: () => manager.renew(), call, takes },
    turns,
    vault,
  );
  await admin.quit();
  return found;
}

/** Replaces passwords every 2 s while calls are made, on both stores at once. */
export function rotation(seconds: number): Promise<readonly Rotated[]> {
  const turns = Math.max(1, Math.round((seconds * 1_000) / EVERY_MS));
  return Promise.all([onPostgres(turns), onRedis(turns)]);
}

/** What it had to show. */
export function rotationRows(found: readonly Rotated[]): readonly Row[] {
  return found.flatMap(({ store, turns, calls, failures, taken }) => {
    const area = `${store}, password replaced ${turns} times`;
    return [
      row({ area, work: `failed, of ${calls}`, unit: "calls", ours: failures.length, bar: "= 0" }),
      row({ area, work: "still taken by the server", unit: "passwords", ours: taken, bar: "= 0" }),
    ];
  });
}
