import { spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { fileURLToPath } from "node:url";
import {
  type Failure,
  failure,
  type FaultProxy,
  Load,
  type Sample,
  sleep,
  startFaultProxy,
  until,
} from "@steward/testing";
import { startPostgres } from "@steward/launchers";
import postgres from "postgres";
import t from "tap";
import { DATABASE_CHANNELS, DatabasePoolManager, type DatabaseInput } from "../../src/index.ts";
import { openConnections } from "./server.ts";

const server = await startPostgres({ settings: { max_connections: 60 } });
t.teardown(() => server.stop());

async function open(proxy: FaultProxy, options: DatabaseInput = {}): Promise<DatabasePoolManager> {
  return new DatabasePoolManager(
    { url: proxy.url, maxConnections: 10, timeoutMs: 2_000, ...options },
    { name: "films" },
  ).start();
}

/** What a load lived through. */
interface Lived {
  readonly load: Load;
  /** How long the fault lasted, in ms. */
  readonly faultMs: number;
  /** How long the slowest login took after it, in ms. */
  readonly slowestMs: number;
  readonly isWellAgain: boolean;
  /** Calls that never ended. */
  readonly unsettled: number;
  /** Calls that the fault cost, where the server goes on: without those that the machine cost. */
  readonly lost: readonly Sample[];
}

/**
 * A new connection takes a few ms. Where it takes longer than this, the machine is so busy that there may be none in the
 * time that a question or a call has, and then the circuit opens, as it should.
 */
const SLOW_LOGIN_MS = 500;

/** How long the slowest login took of those that were made one after the other until `isOver`, in ms. */
async function slowestLogin(isOver: () => boolean): Promise<number> {
  let slowestMs = 0;
  while (!isOver()) {
    const since = performance.now();
    const sql = postgres(server.url, { max: 1, onnotice() {} });
    await sql`select 1`;
    slowestMs = Math.max(slowestMs, performance.now() - since);
    await sql.end();
    await sleep(50);
  }
  return slowestMs;
}

/** 200 calls a second for a second, then the fault, then until calls succeed again. Calls are late after `lateMs`. */
async function underLoad(fault: (proxy: FaultProxy) => Promise<unknown>, lateMs = 2_500): Promise<Lived> {
  await using proxy = await startFaultProxy({ target: server.url });
  await using manager = await open(proxy);
  const { $client: sql } = manager.client;
  const load = await Load.begin(200, () => sql`select 1 as one`, lateMs);
  const faultAt = await load.run(1_000);
  await fault(proxy);
  const healedAt = performance.now();
  let isOver = false;
  const slowestMs = slowestLogin(() => isOver);
  const isWellAgain = await load.runUntilWell(healedAt);
  const unsettled = await load.end();
  isOver = true;
  const isSlow = (await slowestMs) > SLOW_LOGIN_MS;
  const lost = load.failed().filter(({ code }) => !(isSlow && code === "CIRCUIT_OPEN"));
  return { load, faultMs: healedAt - faultAt, slowestMs: await slowestMs, isWellAgain, unsettled, lost };
}

/** Why calls were lost. */
const reasonsOf = (lost: readonly Sample[]): string => [...new Set(lost.map(({ error }) => String(error)))].join("; ");

/** Their codes, besides those that are expected. */
const codesBeside = (lost: readonly Sample[], ...expected: string[]): (string | undefined)[] =>
  lost.flatMap(({ code }) => (expected.includes(code ?? "") ? [] : [code]));

t.test("half-open connections: only what was in flight is lost, and all is well again", async (t) => {
  const lost: unknown[] = [];
  const hear = (event: unknown): void => void lost.push(event);
  subscribe(DATABASE_CHANNELS.lost, hear);
  t.teardown(() => unsubscribe(DATABASE_CHANNELS.lost, hear));
  const { load, isWellAgain, unsettled, lost: failed } = await underLoad(async (proxy) => proxy.halfOpen());
  t.equal(unsettled, 0);
  t.ok(failed.length <= 10, `${failed.length} lost, no more than there were connections: ${reasonsOf(failed)}`);
  t.ok(
    load.failures.some(({ code }) => code === "OUTCOME_UNKNOWN"),
    "what was in flight is lost",
  );
  t.same(codesBeside(failed, "OUTCOME_UNKNOWN"), []);
  t.ok(isWellAgain);
  t.strictSame(load.late, []);
  t.match(lost[0], { resource: "films", pid: Number, silentMs: Number });
});

t.test(
  "what waits for a connection when a stop begins is refused like what comes then, with no wait for the rest",
  async (t) => {
    await using proxy = await startFaultProxy({ target: server.url });
    await using manager = await open(proxy, { maxConnections: 2, timeoutMs: 60_000, connectTimeoutMs: 60_000 });
    const { $client: sql } = manager.client;
    proxy.blackhole();
    const sent = failure(sql`select 1`.execute());
    const waiting = failure(sql`select 2`.execute());
    await until(() => manager.stats()["connecting"] === 1, "a connection is being made");
    const stopping = manager.stop({ signal: AbortSignal.timeout(300) });
    for (const call of [waiting, failure(sql`select 3`.execute())]) {
      const { code, retryable, message } = await call;
      t.strictSame([code, retryable, message], ["RESOURCE_UNAVAILABLE", true, "films: stopping"]);
    }
    t.equal(manager.phase, "stopping");
    t.match(await sent, { code: "OUTCOME_UNKNOWN", retryable: false });
    await stopping.catch(() => {});
  },
);

t.test("a query that meets the reset of its idle connection settles, and frees its place", async (t) => {
  await using proxy = await startFaultProxy({ target: server.url });
  await using manager = await open(proxy, { maxConnections: 4, timeoutMs: 500 });
  const { $client: sql } = manager.client;
  let unsettled = 0;
  const ask = (): void => {
    unsettled++;
    const done = (): void => void unsettled--;
    sql`select 1`.then(done, done);
  };
  for (let round = 0; round < 40; round++) {
    await Promise.allSettled(Array.from({ length: 4 }, () => sql`select 1`.execute()));
    proxy.reset();
    // A query in every turn of the loop: some fall between the error of a socket and its close.
    for (let turn = 0; turn < 30; turn++) {
      ask();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  await until(() => unsettled === 0, "every query is settled");
  t.match(manager.stats(), { pending: 0 });
  // One that met its deadline on a busy machine has its place until the server has ended it.
  await until(() => manager.stats()["inUse"] === 0, "its place is free");
});

t.test("blackhole: no call outlives its deadline, and all is well after the end of it", async (t) => {
  const { load, isWellAgain, unsettled, lost } = await underLoad(async (proxy) => {
    proxy.blackhole();
    await sleep(3_000);
    await proxy.heal();
  });
  t.equal(unsettled, 0);
  t.ok(isWellAgain);
  t.strictSame(load.late, []);
  t.ok(load.failures.length > 0, "what was asked meanwhile failed");
  const codes = ["CIRCUIT_OPEN", "DEADLINE_EXCEEDED", "DATABASE_CONNECT_FAILED", "OUTCOME_UNKNOWN"];
  t.same(codesBeside(lost, ...codes), []);
  t.ok(
    load.failures.some(({ code }) => code === "CIRCUIT_OPEN"),
    "calls do not wait for a server that is known to be gone",
  );
});

t.test("a frozen server: no call outlives its deadline, and all is well after its waking", async (t) => {
  const { load, isWellAgain, unsettled } = await underLoad(async () => {
    await server.pause();
    await sleep(3_000);
    await server.resume();
  });
  t.equal(unsettled, 0);
  t.ok(isWellAgain);
  t.strictSame(load.late, []);
});

t.test("calls that wait for a connection when the circuit opens are refused with it", async (t) => {
  await using proxy = await startFaultProxy({ target: server.url });
  await using manager = await new DatabasePoolManager({ url: proxy.url }, { name: "films" }).start();
  const { $client: sql } = manager.client;
  await Promise.all(Array.from({ length: 10 }, () => sql`select 1`));
  await proxy.refuse();
  proxy.reset();
  // Twice as many as there are connections: these may not be known to be dead yet, and take the first ten with them.
  const ended = await Promise.all(Array.from({ length: 20 }, () => failure(sql`select 1`)));
  const waited = ended.filter(({ code }) => code !== "OUTCOME_UNKNOWN" && code !== "ECONNRESET");
  t.ok(waited.length >= 10);
  t.same([...new Set(waited.map(({ code }) => code))], ["CIRCUIT_OPEN"]);
});

t.test("a query that fails hands its connection on unharmed to one that waits for it", async (t) => {
  await using proxy = await startFaultProxy({ target: server.url });
  await using manager = await open(proxy);
  const { $client: sql } = manager.client;
  await sql`select 1`;
  await proxy.refuse(); // of ten places, there are connections for those that are up
  const failing = Array.from({ length: 10 }, () => failure(sql`select 1 / 0`));
  const waiting = Array.from({ length: 10 }, async () => (await sql`select pg_sleep(0.01), 1 as one`)[0]?.["one"]);
  t.same([...new Set((await Promise.all(failing)).map(({ code }) => code))], ["22012"]);
  t.same([...new Set(await Promise.all(waiting))], [1]);
});

t.test("reset of all connections: no call takes long, and only what was in flight is lost", async (t) => {
  const { load, isWellAgain, unsettled, lost } = await underLoad(async (proxy) => proxy.reset(), 1_000);
  t.equal(unsettled, 0);
  t.ok(lost.length <= 10, `${lost.length} lost, no more than there were connections: ${reasonsOf(lost)}`);
  t.ok(isWellAgain);
  t.strictSame(load.late, []);
});

t.test("kill -9 and restart: calls wait for the server instead of failing", async (t) => {
  const { load, faultMs, slowestMs, isWellAgain, unsettled } = await underLoad(async () => {
    await server.kill("SIGKILL");
    await sleep(500);
    await server.restart();
  });
  t.equal(unsettled, 0);
  const lost = load.failed().filter(({ code }) => code === "OUTCOME_UNKNOWN").length;
  t.ok(lost <= 10, `${lost} lost, no more than there were connections`);
  const late = load
    .failed()
    .filter(({ code }) => code !== "OUTCOME_UNKNOWN")
    .map(({ code }) => code);
  // A server that takes logins later than a second after its end is one that is down.
  t.ok(
    late.length === 0 || faultMs + slowestMs > 1_000,
    `${late.length} failed, ${faultMs} + ${slowestMs} ms: ${late[0]}`,
  );
  t.ok(isWellAgain);
  t.strictSame(load.late, []);
});

t.test("a long query is silent too, and left alone", async (t) => {
  await using proxy = await startFaultProxy({ target: server.url });
  await using manager = await open(proxy, { silenceMs: 100, timeoutMs: 10_000 });
  const { $client } = manager.client;
  t.equal((await $client`select pg_sleep(1.5), 1 as one`)[0]?.["one"], 1);
  t.ok(proxy.stats().total >= 3, "the server was asked about it");
  const held = await $client.reserve();
  await held`begin`;
  await sleep(500);
  t.equal((await held`select 2 as two`)[0]?.["two"], 2, "an idle transaction is nobody's fault");
  await held`commit`;
  held.release();
  proxy.throttle(20_000);
  t.equal((await $client`select repeat('x', 30000) as slow`)[0]?.["slow"].length, 30_000, "nor is a slow line");
  t.equal(manager.stats()["retired"], 0);
});

t.test("lost replies: a statement whose reply never comes is told as lost, though it ran", async (t) => {
  const observer = postgres(server.url, { max: 1, onnotice() {} });
  await observer`create table if not exists counted (n int)`;
  await using proxy = await startFaultProxy({ target: server.url });
  const manager = await open(proxy, { maxConnections: 4 });
  const { $client } = manager.client;
  await openConnections(manager.client, 4);
  proxy.dropReplies();
  const all = Array.from({ length: 20 }, () => failure($client`insert into counted values (1)`));
  await sleep(300);
  await proxy.heal();
  const outcomes = await Promise.all(all.map((p) => p.catch(() => "ok")));
  const failed = outcomes.filter((o) => o !== "ok").length;
  await manager.stop();
  const [row] = await observer`select count(*)::int as n from counted`;
  t.ok((row?.["n"] as number) <= 20, "nothing ran twice");
  t.equal(row?.["n"], 20 - failed + Math.min(failed, 4), "what was told as lost is what was on the wire");
  await observer.end();
});

t.test("a connection that breaks at any moment of its making harms nobody else", async (t) => {
  await using proxy = await startFaultProxy({ target: server.url });
  const codes = new Set<Failure["code"]>();
  for (const bytes of [0, 1, 9, 30, 60, 200, 400, 450, 500, 550, 600, 700, 900, 1_500, 3_000]) {
    proxy.limit(bytes);
    codes.add((await failure(open(proxy, { timeoutMs: 1_000 }))).code);
  }
  t.same([...codes].sort(), ["DATABASE_CONNECT_FAILED"]);
  await proxy.heal();
  await using manager = await open(proxy);
  t.equal((await manager.client.$client`select 1 as x`)[0]?.["x"], 1);
});

t.test("a server that is full is asked again until there is room", async (t) => {
  const fillers = postgres(server.url, { max: 56, onnotice() {} });
  await Promise.all(Array.from({ length: 56 }, () => fillers`select pg_sleep(0.3)`)).catch(() => {});
  await using proxy = await startFaultProxy({ target: server.url });
  await using manager = await open(proxy, { acquireTimeoutMs: 10_000, timeoutMs: 10_000 }).catch(async () => {
    await fillers.end();
    return open(proxy, { acquireTimeoutMs: 10_000, timeoutMs: 10_000 });
  });
  const { $client } = manager.client;
  const waiting = Promise.all(Array.from({ length: 10 }, () => $client`select pg_sleep(0.1)`));
  await sleep(100);
  await fillers.end();
  t.equal((await waiting).length, 10);
});

t.test(
  "stops within its deadline while the server is frozen, settles every promise, and lets the process end",
  async (t) => {
    const script = fileURLToPath(new URL("frozen-peer.js", import.meta.url));
    const child = spawn(process.execPath, [script, server.url], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    let stoppedAt = Number.POSITIVE_INFINITY;
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      stoppedAt = performance.now();
    });
    const code = await new Promise((resolve) => child.once("close", resolve));
    t.equal(code, 0);
    t.ok(performance.now() - stoppedAt < 30_000, "the process ended by itself");
    const { isInTime, settled, failed } = JSON.parse(text.trim().split("\n").at(-1) ?? "{}") as {
      isInTime: boolean;
      settled: number;
      failed: number;
    };
    t.ok(isInTime, "its drain and its stop have 1,800 ms");
    t.same([settled, failed], [16, 16]);
  },
);

t.test("leaves no statement running at the server when it stops", async (t) => {
  const observer = postgres(server.url, { max: 1 });
  const manager = await new DatabasePoolManager(
    { url: server.url, applicationName: "leftover" },
    { drainTimeoutMs: 100, stopTimeoutMs: 1_000 },
  ).start();
  const slow = failure(manager.client.$client`select pg_sleep(60)`);
  const inTransaction = failure(manager.client.$client.begin((s) => s`select pg_sleep(60)`));
  await until(() => manager.stats()["inUse"] === 2, "both run");
  await sleep(100);
  await failure(manager.drain());
  await manager.stop();
  t.match([(await slow).code, (await inTransaction).code], [String, String]);
  await until(
    async () =>
      (await observer`select 1 from pg_stat_activity where application_name = 'leftover' and state = 'active'`)
        .length === 0,
    "the server has stopped them",
  );
  await observer.end();
});

t.test("once a connection is found dead, its idle siblings are not trusted either", async (t) => {
  await using proxy = await startFaultProxy({ target: server.url });
  await using manager = await open(proxy, { maxConnections: 4, timeoutMs: 20_000 });
  const { $client: sql } = manager.client;
  await openConnections(manager.client, 4);
  await until(() => manager.stats()["idle"] === 4, "all are given back");
  proxy.halfOpen();
  t.match(await failure(sql`select 1`.execute()), { code: "OUTCOME_UNKNOWN" });
  const ask = async (): Promise<string> => {
    for (;;) {
      const code = await sql`select 1`.then(
        () => "ok",
        (error: Failure) => String(error.code),
      );
      if (code !== "CIRCUIT_OPEN") return code;
      await sleep(20); // a machine so busy that a login takes a second opens it
    }
  };
  t.same(await Promise.all([ask(), ask(), ask(), ask()]), ["ok", "ok", "ok", "ok"]);
});
