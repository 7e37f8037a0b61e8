import type { Clock } from "@steward/core";
import { Alarm, failure, FakeClock, Load, sleep, until } from "@steward/testing";
import t from "tap";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { launch, manage, needsRedis, proxyTo } from "../setup.ts";

const RATE = 200;
/** A call has a deadline of 2 s, and timers are not exact. */
const LATE_MS = 2_300;
/** Where the machine took so much of this process, in ms, a circuit may open, as it should: the drill is repeated. */
const BUSY_MS = 100;
const DRILLS = 5;

t.test(
  "half-open: the server is asked over a second connection, and only what was in flight is lost",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    for (let drill = 1; drill <= DRILLS; drill++) {
      const proxy = await proxyTo(t, server);
      const manager = await manage(t, { host: proxy.host, port: proxy.port });
      const load = await Load.begin(RATE, () => manager.client.incr("n"), LATE_MS);
      await load.run(500);
      const at = performance.now();
      proxy.halfOpen();
      t.ok(await load.runUntilWell(at));
      const stolenMs = load.watch.stolen(at);
      t.equal(await load.end(), 0, "every call settled");
      t.comment({ ...load.outcomes, stats: manager.stats(), stolenMs });
      t.ok(load.failures.length > 0, "what was in flight failed");
      t.strictSame(load.late, [], "none outlives its deadline");
      if (load.failed().some(({ code }) => code === "CIRCUIT_OPEN") && stolenMs >= BUSY_MS) continue;
      t.same(
        load.failed().filter(({ code }) => code !== "OUTCOME_UNKNOWN"),
        [],
        "lost ones say that their outcome is unknown",
      );
      t.ok(load.failed().length <= load.rate * 1.5, "only those in flight");
      t.equal(manager.stats()["retired"], 1);
      return;
    }
    t.fail(`the machine was too busy for all ${DRILLS} drills`);
  },
);

t.test("half-open: reads in flight are sent again and none fails", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  // A circuit, which opens where the machine stands still too, would refuse reads; of resending it says nothing.
  const manager = await manage(t, { host: proxy.host, port: proxy.port, breaker: false });
  const load = await Load.begin(RATE, () => manager.client.get("n"));
  await load.run(300);
  proxy.halfOpen();
  await load.runUntilWell(performance.now());
  t.equal(await load.end(), 0);
  t.comment(load.outcomes);
  t.equal(load.failed().length, 0, "no read failed");
  t.ok(Number(manager.stats()["resent"]) > 0, "they were sent again");
});

t.test("100 INCR whose replies are lost: none runs twice, and every promise settles", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port, silenceMs: 60_000, timeoutMs: 60_000 });
  const direct = await manage(t, { host: server.host, port: server.port });
  proxy.dropReplies();
  const calls = Promise.allSettled(Array.from({ length: 100 }, () => manager.client.incr("n")));
  await until(async () => (await direct.client.get("n")) === "100", "the server ran them all");
  await proxy.heal();
  proxy.reset();
  const outcomes = await calls;
  t.ok(outcomes.every((one) => one.status === "rejected" && one.reason.code === "OUTCOME_UNKNOWN"));
  await manager.client.ping();
  t.equal(await direct.client.get("n"), "100", "each ran once");
  t.equal(manager.stats()["unknown"], 100);
  t.equal(manager.stats()["inUse"], 0);
});

t.test(
  "what waits for the next connection when a stop begins is refused like what comes then",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const proxy = await proxyTo(t, server);
    const manager = await manage(t, { host: proxy.host, port: proxy.port, silenceMs: 60_000, timeoutMs: 60_000 });
    const { client } = manager;
    proxy.dropReplies();
    const again = failure(client.get("n")); // it was sent, and is to be sent again
    await until(() => Number(manager.stats()["inUse"]) === 1);
    await proxy.refuse();
    proxy.reset();
    await until(() => manager.stats()["resent"] === 1, "the connection is gone");
    const first = failure(client.incr("n"));
    const stopping = manager.stop();
    for (const call of [again, first, failure(client.incr("n"))]) {
      const { code, retryable, message } = await call;
      t.strictSame([code, retryable, message], ["RESOURCE_UNAVAILABLE", true, "redis: stopping"]);
    }
    await stopping;
  },
);

t.test("a pipeline of which a part is sent again is under way until that is answered", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const bounds = { silenceMs: 60_000, timeoutMs: 60_000, offlineTimeoutMs: 60_000 };
  const manager = await manage(t, { host: proxy.host, port: proxy.port, ...bounds });
  const { client } = manager;
  await client.set("a", "1");
  proxy.dropReplies();
  const half = client.pipeline().get("a").incr("a").exec();
  const reads = client.pipeline().get("a").get("a").exec();
  await until(() => manager.stats()["inUse"] === 2);
  await proxy.refuse();
  proxy.reset();
  await until(() => manager.stats()["unknown"] === 1, "INCR failed, which is the last of its pipeline");
  t.equal(manager.stats()["inUse"], 2, "the reads have no answer");
  await proxy.heal();
  t.match(await half, [[null, /[12]/], [{ code: "OUTCOME_UNKNOWN" }]]);
  t.match(await reads, [
    [null, /[12]/],
    [null, /[12]/],
  ]);
  t.equal(manager.stats()["inUse"], 0);
});

t.test("what the user declares harmless is sent again too", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port, resend: ["SET"] });
  const direct = await manage(t, { host: server.host, port: server.port });
  proxy.dropReplies();
  const calls = Array.from({ length: 10 }, (_, n) => manager.client.set(`k${n}`, n));
  const transaction = manager.client.multi().set("a", 1).exec();
  transaction.catch(() => {});
  await until(async () => (await direct.client.exists("a")) === 1, "the server ran them all");
  await proxy.heal();
  proxy.reset();
  t.same(
    await Promise.all(calls),
    Array.from({ length: 10 }, () => "OK"),
  );
  await t.rejects(transaction, { code: "OUTCOME_UNKNOWN" }, "never a part of a transaction");
});

t.test("all sockets reset under load: nobody waits longer than a second", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port });
  const load = await Load.begin(RATE, () => manager.client.incr("n"), 1_000);
  for (let round = 0; round < 3; round++) {
    await load.run(300);
    proxy.reset();
  }
  t.ok(await load.runUntilWell(performance.now()));
  t.equal(await load.end(), 0);
  t.comment(load.outcomes);
  t.strictSame(load.late, [], "none took a second");
  t.same(
    load.failed().filter(({ code }) => code !== "OUTCOME_UNKNOWN"),
    [],
    "only what was in flight failed",
  );
});

t.test(
  "killed and restarted under load: short outages are waited out, long ones refused at once",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const manager = await manage(t, { url: server.url, offlineTimeoutMs: 500 });
    const load = await Load.begin(RATE, () => manager.client.incr("n"), 1_500);
    await load.run(300);
    await server.kill();
    const at = performance.now();
    await load.run(2_000);
    const refused = load.samples.filter((one) => one.began > at + 1_000);
    t.ok(
      refused.length > 0 && refused.every((one) => one.code === "RESOURCE_UNAVAILABLE" && !one.isLate),
      "refused, and none waits for the queue",
    );
    await server.restart();
    t.ok(await load.runUntilWell(performance.now()));
    t.equal(await load.end(), 0);
    t.comment(load.outcomes);
    t.strictSame(load.late, [], "none waited much longer than the queue keeps");
  },
);

for (const fault of ["frozen", "blackhole"] as const)
  t.test(`${fault} for 3 s: every call meets its deadline, and all is well after it`, needsRedis, async (t) => {
    const server = await launch(t);
    const proxy = await proxyTo(t, server);
    const manager = await manage(t, { host: proxy.host, port: proxy.port });
    const load = await Load.begin(RATE, () => manager.client.incr("n"), LATE_MS);
    await load.run(300);
    if (fault === "frozen") await server.pause();
    else proxy.blackhole();
    await load.run(3_000);
    if (fault === "frozen") await server.resume();
    else await proxy.heal();
    t.ok(await load.runUntilWell(performance.now()));
    t.equal(await load.end(), 0);
    t.comment(load.outcomes);
    t.ok(load.failures.length > 0);
    t.strictSame(load.late, [], "none outlives its deadline");
  });

t.test(
  "nonsense from the server ends the connection, and what was in flight says that its outcome is unknown",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const sockets: Socket[] = [];
    const between = createServer((socket) => {
      const upstream = connect(server.port, server.host);
      sockets.push(socket.on("error", () => upstream.destroy()));
      socket
        .on("close", () => upstream.destroy())
        .pipe(upstream.on("error", () => socket.destroy()))
        .pipe(socket);
    });
    await once(between.listen(0, "127.0.0.1"), "listening");
    t.teardown(() => between.close());
    const manager = await manage(t, { host: "127.0.0.1", port: (between.address() as AddressInfo).port }); // it listens on TCP
    await server.pause();
    const call = manager.client.incr("n");
    sockets[0]?.write("\u0007nonsense\r\n");
    await t.rejects(call, { code: "OUTCOME_UNKNOWN" });
    await server.resume();
    t.equal(await manager.client.ping(), "PONG", "a new connection took its place");
  },
);

t.test("1,000 wait for 4 connections: nobody overtakes, and one more is refused", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url, maxConnections: 4, maxPending: 996, acquireTimeoutMs: 10_000 });
  const begun: number[] = [];
  const calls = Array.from({ length: 1_000 }, (_, n) =>
    manager.client.use((connection) => {
      begun.push(n);
      return connection.ping();
    }),
  );
  await t.rejects(
    manager.client.use(() => {}),
    { code: "OVERLOADED" },
  );
  await Promise.all(calls);
  // The first four wait for their handshakes meanwhile.
  t.same(
    begun.filter((n) => n >= 4),
    Array.from({ length: 996 }, (_, n) => n + 4),
  );
  t.match(manager.stats()["dedicated"], { size: 4, idle: 4, inUse: 0, pending: 0 });
});

t.test("a server that is slow but alive keeps its connection", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url, silenceMs: 100, timeoutMs: 5_000 });
  const slow = manager.client.eval(
    "local t=redis.call('TIME')[1]*1000000+redis.call('TIME')[2] while redis.call('TIME')[1]*1000000+redis.call('TIME')[2]-t < 600000 do end return 'done'",
    0,
  );
  t.equal(await slow, "done");
  const { retired, unknown } = manager.stats();
  t.same({ retired, unknown }, { retired: 0, unknown: 0 });
});

t.test("commands wait for a lost connection in order, within the bound of the queue", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port, maxPending: 5 });
  await proxy.refuse();
  proxy.reset();
  await until(() => manager.stats()["size"] === 0, "it is offline");
  const waiting = Array.from({ length: 5 }, (_, n) => manager.client.rpush("list", n));
  await t.rejects(manager.client.rpush("list", "one too many"), { code: "OVERLOADED" });
  t.equal(manager.stats()["pending"], 5);
  await proxy.heal();
  t.same(await Promise.all(waiting), [1, 2, 3, 4, 5]);
  t.same(await manager.client.lrange("list", 0, -1), ["0", "1", "2", "3", "4"]);
});

t.test("a full house of commands without a reply overloads the queue, and places come back", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port, maxConcurrent: 3, maxPending: 2 });
  proxy.pauseReplies();
  const calls = Array.from({ length: 5 }, () => manager.client.incr("n"));
  await t.rejects(manager.client.incr("n"), { code: "OVERLOADED", message: /in use 3 of 3, pending 2 of 2/ });
  await proxy.heal();
  t.same(await Promise.all(calls), [1, 2, 3, 4, 5]);
});

t.test("stopping over a half-open connection does not wait for the whole stop timeout", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port, silenceMs: 200 });
  proxy.halfOpen();
  using alarm = new Alarm(3_000);
  await manager.stop();
  t.notOk(alarm.hasRung);
});

t.test(
  "stopping beside a frozen server ends within the deadline, settles everything, and lets the process exit",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL("../programs/stop-frozen.js", import.meta.url)), server.url],
      {
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
    await until(() => output.includes("ready"), "the program is up");
    await server.pause();
    const since = performance.now();
    child.stdin.end("stop\n");
    const [code] = await once(child, "exit");
    t.equal(code, 0);
    t.ok(performance.now() - since < 30_000, "the process exited by itself");
    const report = JSON.parse(output.split("\n").at(-2) ?? "{}");
    t.match(report, { settled: report.made });
    t.ok(report.isInTime, "it stopped in the 1,000 ms that it has");
  },
);

t.test(
  "a breaker refuses commands at once while the server does not answer, and error replies do not open it",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const proxy = await proxyTo(t, server);
    const clock = new FakeClock();
    // Silence and stalls, which open it too, have more time than all three calls.
    const breaker = { consecutiveFailures: 3, breakDurationMs: 60_000, stallMs: 60_000 };
    const options = { host: "127.0.0.1", port: proxy.port, timeoutMs: 500, silenceMs: 60_000, breaker };
    const manager = await manage(t, options, { clock });
    const { client } = manager;
    await client.set("text", "x");
    for (let i = 0; i < 5; i++) await t.rejects(client.incr("text"), { name: "ReplyError" });
    t.equal(manager.passive.failingRatio, 0);
    proxy.blackhole();
    const codeOf = async (): Promise<unknown> => (await clock.runUntil(failure(client.get("text")))).code;
    for (let i = 0; i < 3; i++) t.equal(await codeOf(), "DEADLINE_EXCEEDED");
    t.equal(await codeOf(), "CIRCUIT_OPEN");
    t.equal(manager.passive.failingRatio, 1);
    await clock.runUntil(manager.stop());
  },
);

t.test("a start after an outage lets all commands through, not one to try", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, {
    host: "127.0.0.1",
    port: proxy.port,
    timeoutMs: 500,
    silenceMs: 60_000,
    breaker: { consecutiveFailures: 3, breakDurationMs: 60_000, stallMs: 60_000 },
  });
  const { client } = manager;
  proxy.blackhole();
  for (let i = 0; i < 3; i++) t.match(await failure(client.get("text")), { code: "DEADLINE_EXCEEDED" });
  t.match(await failure(client.get("text")), { code: "CIRCUIT_OPEN" });
  await manager.stop();
  await proxy.heal();
  await manager.start();
  const answers = await Promise.all(Array.from({ length: 5 }, () => client.get("text")));
  t.strictSame(answers, Array(5).fill(null));
});

t.test("commands that were given up while the server was away are not sent once it is back", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port, timeoutMs: 300, offlineTimeoutMs: 30_000 });
  await proxy.refuse();
  proxy.reset();
  const given = await Promise.all(Array.from({ length: 5 }, () => failure(manager.client.incr("n"))));
  t.ok(given.every(({ code }) => code === "DEADLINE_EXCEEDED" || code === "OUTCOME_UNKNOWN"));
  await proxy.heal();
  const isBack = (): Promise<boolean> => manager.client.set("back", "1").then(Boolean, () => false);
  await until(isBack, "the server is back");
  const direct = await manage(t, { url: server.url });
  t.equal(await direct.client.get("n"), null);
});

t.test("what was given up while the server was away holds no place, and so no drain up", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url, timeoutMs: 100, offlineTimeoutMs: 30_000 });
  await manager.client.subscribe("known");
  await server.pause();
  const read = failure(manager.client.get("x")); // written, and to be sent again
  const pipeline = manager.client.pipeline().get("x").get("y").exec();
  await server.kill();
  const [news, known] = [failure(manager.client.subscribe("news")), failure(manager.client.unsubscribe("known"))];
  for (const call of [read, news, known]) t.match(await call, { code: "DEADLINE_EXCEEDED" });
  for (const [error] of (await pipeline) ?? []) t.match(error, { code: "DEADLINE_EXCEEDED" });
  t.match(manager.stats(), { inUse: 0, subscriptions: 1 });
  await manager.drain();
  await manager.stop();
});

t.test("a process that stood still itself does not take that for silence of the server", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const fake = new FakeClock();
  let stoodStillMs = 0;
  const clock: Clock = {
    now: () => fake.now() + stoodStillMs,
    wallNow: () => fake.wallNow() + stoodStillMs,
    setTimeout: (...args) => fake.setTimeout(...args),
    sleep: (...args) => fake.sleep(...args),
  };
  const manager = await manage(t, { host: proxy.host, port: proxy.port, timeoutMs: 60_000 }, { clock });
  const before = proxy.stats().lostBytes;
  proxy.halfOpen();
  const lost = failure(manager.client.incr("n"));
  await until(() => proxy.stats().lostBytes > before, "it is written");
  await fake.advance(300);
  stoodStillMs += 20_000;
  await fake.advance(300);
  // Whether anything is asked or replaced shows in real time.
  await sleep(500);
  t.match(manager.stats(), { reconnects: 0 }, "the silence was its own");
  const isReplaced = async (): Promise<boolean> => (await fake.advance(300), manager.stats()["reconnects"] === 1);
  await until(isReplaced, "the silence of the server is seen");
  t.match(await lost, { code: "OUTCOME_UNKNOWN" });
});
