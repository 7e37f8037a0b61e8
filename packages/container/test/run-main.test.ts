import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import t from "tap";
import { input, isStewardError, resource } from "@steward/core";
import { FakeClock } from "@steward/testing";
import { container, healthEndpoints, runMain, type MainOptions, type RunningContainer } from "../src/index.ts";
import { FakeProcess } from "./fake-process.ts";

const never = (): Promise<never> => new Promise(() => {});

/** A process with two resources on a fake clock; every event of their lives is in `log`. */
function setup(
  options: Partial<MainOptions> & {
    start?: (signal: AbortSignal) => unknown;
    drain?: () => unknown;
    stop?: () => unknown;
  } = {},
) {
  const { start, drain = () => {}, stop = () => {}, ...main } = options;
  const clock = new FakeClock();
  const proc = new FakeProcess();
  const log: string[] = [];
  const note = (text: string) => void log.push(`${text} @${clock.now()}`);
  const db = resource("db", { start: () => "db", stop: () => note("db stops") });
  const server = resource("server", {
    needs: { db },
    start: (_needs, { signal }) => start?.(signal) ?? "server",
    drain: () => (note("server drains"), drain()),
    stop: () => (note("server stops"), stop()),
  });
  const app = container([server], { clock });
  const begin = () => {
    const done = runMain(app, {
      clock,
      process: proc,
      onReady: () => note("ready"),
      onShutdown: ({ reason, delayMs }) => note(`shutdown by ${reason}, delay ${delayMs}`),
      onStopped: () => note("stopped"),
      flush: () => note("flush"),
      ...main,
    });
    return clock.settle().then(() => ({ code: done }));
  };
  return { clock, proc, log, begin };
}

t.test("a signal ends everything in reverse, flushes last, and exits with 0", async (t) => {
  const { clock, proc, log, begin } = setup();
  const { code } = await begin();
  t.strictSame(log, ["ready @0"]);
  proc.send("SIGTERM");
  t.equal(await clock.runUntil(code), 0);
  t.strictSame(log, [
    "ready @0",
    "shutdown by SIGTERM, delay 0 @0",
    "server drains @0",
    "server stops @0",
    "db stops @0",
    "stopped @0",
    "flush @0",
  ]);
  t.strictSame(proc.exits, [0]);
  t.equal(proc.listening, 0, "no listener stays behind");
  t.equal(clock.holding, 0, "no timer stays behind");
  t.strictSame(proc.written, []);
});

t.test("in Kubernetes work is taken for 5 s after SIGTERM, while readiness is gone at once", async (t) => {
  let running: RunningContainer | undefined;
  const { clock, proc, log, begin } = setup({ onReady: (r) => (running = r) });
  proc.env["KUBERNETES_SERVICE_HOST"] = "10.0.0.1";
  const { code } = await begin();
  const endpoints = healthEndpoints(() => running);
  t.equal(endpoints("GET", "/readyz")?.status, 200);
  proc.send("SIGTERM");
  await clock.advance(4_999);
  t.equal(endpoints("GET", "/readyz")?.status, 503);
  t.match(endpoints("GET", "/readyz")?.body, /shutting down/);
  t.equal(endpoints("GET", "/livez")?.status, 200);
  t.equal(running?.phase, "ready", "it still takes work");
  t.strictSame(log, ["shutdown by SIGTERM, delay 5000 @0"]);
  t.equal(await clock.runUntil(code), 0);
  t.equal(log[1], "server drains @5000");
});

t.test("Ctrl-C does not wait, not even in Kubernetes; an own delay counts for SIGTERM", async (t) => {
  for (const [signal, delay] of [
    ["SIGINT", 0],
    ["SIGTERM", 700],
  ] as const) {
    const { clock, proc, log, begin } = setup({ shutdownDelayMs: 700 });
    proc.env["KUBERNETES_SERVICE_HOST"] = "10.0.0.1";
    const { code } = await begin();
    proc.send(signal);
    await clock.runUntil(code);
    t.equal(log[2], `server drains @${delay}`);
  }
});

t.test("a second signal exits at once with 128 and its number", async (t) => {
  for (const [second, expected] of [
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const) {
    const { clock, proc, log, begin } = setup({ drain: never });
    const { code } = await begin();
    proc.send("SIGTERM");
    await clock.advance(200);
    proc.send(second);
    t.equal(await clock.runUntil(code), expected);
    t.strictSame(proc.exits, [expected]);
    t.notMatch(log.join(), /stops/);
  }
});

t.test("a repeat of the same signal within 200 ms is one signal, another signal is not", async (t) => {
  const { clock, proc, begin } = setup({ drain: () => clock.sleep(1_000) });
  const { code } = await begin();
  proc.send("SIGINT");
  proc.send("SIGINT");
  await clock.advance(199);
  proc.send("SIGINT");
  await clock.advance(500);
  t.strictSame(proc.exits, []);
  t.equal(await clock.runUntil(code), 0);

  const other = setup({ drain: never });
  const ended = await other.begin();
  other.proc.send("SIGINT");
  other.proc.send("SIGTERM");
  t.equal(await ended.code, 143);
});

t.test("a shutdown that takes too long exits with 1 and names what hangs", async (t) => {
  const errors: unknown[] = [];
  const slow = setup({ shutdownTimeoutMs: 3_000, drain: never, onError: (error) => void errors.push(error) });
  const { code } = await slow.begin();
  slow.proc.send("SIGTERM");
  t.equal(await slow.clock.runUntil(code), 1);
  t.ok(slow.clock.now() < 3_000, "with time left for the flush");
  t.ok(isStewardError(errors[0], "STOP_FAILED"));
  t.match(String(errors[0]), /"server" in drain after 1900 ms: all drains together may take 1900 ms/);

  const flushing = setup({ shutdownTimeoutMs: 3_000, flush: never, onError: (error) => void errors.push(error) });
  const ended = await flushing.begin();
  flushing.proc.send("SIGTERM");
  t.equal(await flushing.clock.runUntil(ended.code), 1);
  t.equal(flushing.clock.now(), 3_000);
  t.ok(isStewardError(errors.at(-1), "SHUTDOWN_TIMEOUT"));
  t.match(String(errors.at(-1)), /the shutdown took longer than 3000 ms; the flush hook has not ended/);
});

t.test("by default a shutdown may take 25 s", async (t) => {
  const { clock, proc, begin } = setup({ onShutdown: never });
  const { code } = await begin();
  proc.send("SIGINT");
  await clock.advance(24_999);
  t.strictSame(proc.exits, []);
  t.equal(await clock.runUntil(code), 1);
  t.equal(clock.now(), 25_000);
});

t.test("a resource that fails to stop is reported, the others stop, and the code is 1", async (t) => {
  const { clock, proc, log, begin } = setup({ stop: () => Promise.reject(new Error("stuck")) });
  const { code } = await begin();
  proc.send("SIGTERM");
  t.equal(await clock.runUntil(code), 1);
  t.ok(log.includes("db stops @0"));
  t.match(proc.written.join(), /"server" in stop.*stuck/);
});

t.test("a failed start is written in full to stderr, and exits with 1 after the flush", async (t) => {
  const { clock, proc, log, begin } = setup({ start: () => Promise.reject(new TypeError("x is not a function")) });
  const { code } = await begin();
  t.equal(await clock.runUntil(code), 1);
  const text = proc.written.join("");
  t.match(text, /"server" failed in start after 0 ms: x is not a function/);
  t.match(text, /stopped again: db/);
  t.match(text, /^START_FAILED: /);
  t.match(text, /TypeError: x is not a function\n +at /, "a mistake in code comes with its stack");
  t.strictSame(log, ["db stops @0", "flush @0"]);
  t.equal(proc.listening, 0);
});

t.test("an error that explains itself comes without a stack", async (t) => {
  const refused = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), { code: "ECONNREFUSED" });
  const { clock, proc, begin } = setup({ start: () => Promise.reject(refused) });
  t.equal(await clock.runUntil((await begin()).code), 1);
  t.match(proc.written.join(""), /ECONNREFUSED/);
  t.notMatch(proc.written.join(""), /\n +at /);
});

t.test(
  "a signal during the start gives it up, stops what had started, and exits with 128 and its number",
  async (t) => {
    const { clock, proc, log, begin } = setup({
      start: (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    });
    const { code } = await begin();
    proc.send("SIGINT");
    t.equal(await clock.runUntil(code), 130);
    t.strictSame(log, ["db stops @0", "flush @0"]);
    t.match(proc.written.join(""), /SIGINT received/);
  },
);

t.test("a second signal during the start exits at once", async (t) => {
  const { clock, proc, begin } = setup({ start: never });
  const { code } = await begin();
  proc.send("SIGINT");
  await clock.advance(300);
  proc.send("SIGINT");
  t.equal(await code, 130);
});

t.test("a hook that fails makes the code 1 but holds up nothing", async (t) => {
  const boom = (): never => {
    throw new Error("hook broke");
  };
  const ready = setup({ onReady: boom });
  t.equal(await ready.clock.runUntil((await ready.begin()).code), 1);
  t.match(ready.proc.written.join(), /hook broke/);
  t.ok(ready.log.includes("db stops @0"), "everything is stopped again");

  const shutdown = setup({ onShutdown: boom, onError: boom });
  const { code } = await shutdown.begin();
  shutdown.proc.send("SIGTERM");
  t.equal(await shutdown.clock.runUntil(code), 1);
  t.match(shutdown.proc.written.join(), /hook broke\n[^]*and the onError hook failed: hook broke/);
  t.ok(shutdown.log.includes("flush @0"));
});

t.test("the caller's own signal begins a shutdown, also one that aborted before", async (t) => {
  const abort = new AbortController();
  const { clock, proc, log, begin } = setup({ signal: abort.signal });
  const { code } = await begin();
  abort.abort();
  t.equal(await clock.runUntil(code), 0);
  t.equal(log[1], "shutdown by asked, delay 0 @0");
  t.strictSame(proc.exits, [0]);
  const early = setup({
    signal: AbortSignal.abort(),
    start: (signal) => new Promise((_, reject) => (signal.aborted ? reject(signal.reason) : undefined)),
  });
  t.equal(await early.clock.runUntil((await early.begin()).code), 1);
});

t.test("resources are probed while it runs, and no more once it ends", async (t) => {
  const clock = new FakeClock();
  const proc = new FakeProcess();
  let probes = 0;
  const db = resource("db", { start: () => "db", probe: () => void probes++ });
  const code = runMain(container([db], { clock, health: { intervalMs: 1_000 } }), { clock, process: proc });
  await clock.advance(10_500);
  // The first is due at a random moment of the first second, each further one 0.8 to 1.2 s after the one before.
  t.ok(probes >= 8 && probes <= 14, `${probes} probes in 10.5 s`);
  proc.send("SIGTERM");
  await clock.runUntil(code);
  t.equal(clock.pending, 0);
});

t.test("inputs of the application are handed on", async (t) => {
  const clock = new FakeClock();
  const proc = new FakeProcess();
  const greeting = input<string>()("greeting");
  const greeter = resource("greeter", { needs: { greeting }, start: ({ greeting }) => `${greeting}, world` });
  let said = "";
  const code = runMain(container([greeter], { clock }), {
    inputs: [greeting.is("hello")],
    clock,
    process: proc,
    onReady: (running) => (said = running.get(greeter)),
  });
  await clock.settle();
  t.equal(said, "hello, world");
  proc.send("SIGINT");
  await clock.runUntil(code);
});

const program = `
import { resource } from "@steward/core";
import { container, runMain } from "@steward/container";
const db = resource("db", { start: () => "db", stop: () => console.log("db stops") });
const server = resource("server", { needs: { db }, start: () => setInterval(() => {}, 1000), stop: () => console.log("server stops, its handle stays") });
await runMain(container([server]), { onReady: () => console.log("ready") });
`;

t.test("a real process ends by SIGTERM and by Ctrl-C sent twice, although something keeps a handle", async (t) => {
  const cwd = fileURLToPath(new URL("../..", import.meta.url));
  const { NODE_OPTIONS: _loader, ...env } = process.env;
  for (const signals of [["SIGTERM"], ["SIGINT", "SIGINT"]] as const) {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
      cwd,
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (chunk.includes("ready")) for (const signal of signals) child.kill(signal);
    });
    const [code] = await once(child, "close");
    t.equal(code, 0);
    t.equal(text, "ready\nserver stops, its handle stays\ndb stops\n");
  }
});

/** A logger that keeps its lines, without the times of a real clock. */
function logging() {
  const lines: string[] = [];
  const keep = (level: string) => (line: string) => void lines.push(`${level} ${line}`);
  return { lines, logger: { info: keep("info"), warn: keep("warn"), error: keep("error") } };
}

t.test("a logger gets what starts, goes down, comes up again and ends, and stderr gets nothing", async (t) => {
  const clock = new FakeClock();
  const proc = new FakeProcess();
  const { lines, logger } = logging();
  let isDown = false;
  let isAway = true;
  const db = resource("db", {
    start: () => clock.sleep(40).then(() => "db"),
    probe: () => (isDown ? Promise.reject(new Error("no route to host")) : Promise.resolve()),
  });
  const cache = resource("cache", {
    criticality: "optional",
    start: () => (isAway ? Promise.reject(new Error("connection refused")) : Promise.resolve("cache")),
  });
  const app = container([db, cache], { clock, name: "worker" });
  let running: RunningContainer | undefined;
  const code = runMain(app, { clock, process: proc, logger, onReady: (ready) => void (running = ready) });
  await clock.advance(40);
  t.same(lines.splice(0), [
    "warn cache: unhealthy: it did not start: connection refused",
    "info worker: started 1 of 2 in 40 ms: db 40 ms",
  ]);
  isAway = false;
  isDown = true;
  for (let i = 0; i < 5; i++) await running?.probe();
  isDown = false;
  for (let i = 0; i < 5; i++) await running?.probe();
  await clock.advance(1_000);
  t.same(lines.splice(0).sort(), [
    "info cache: healthy again",
    "info db: healthy again",
    "warn cache: starts again, after: connection refused",
    "warn db: unhealthy: 3 probes in a row failed: no route to host",
  ]);
  proc.send("SIGTERM");
  t.equal(await clock.runUntil(code), 0);
  t.same(lines.splice(0), [
    "info worker: shutdown (SIGTERM): ends within 25000 ms",
    "info worker: draining, 0 ms after the shutdown began",
    "info worker: stopping, 0 ms after the shutdown began",
    "info worker: stopped, 0 ms after the shutdown began",
    "info worker: exits with 0",
  ]);
  t.same(proc.written, []);
  await clock.runUntil(app.start().then((other) => other.stop()));
  t.same(lines, [], "it has ended with the process");
});

t.test("a logger gets each failure once, or onError does", async (t) => {
  for (const hasHandler of [false, true]) {
    const proc = new FakeProcess();
    const { lines, logger } = logging();
    const seen: unknown[] = [];
    const db = resource("db", {
      start: () => Promise.reject(Object.assign(new Error("refused"), { code: "ECONNREFUSED" })),
    });
    const onError = (error: unknown): void => void seen.push(error);
    const code = await runMain(container([db]), { process: proc, logger, ...(hasHandler ? { onError } : {}) });
    t.equal(code, 1);
    t.same(proc.written, []);
    t.equal(lines.filter((line) => line.includes("refused")).length, hasHandler ? 0 : 1, lines.join("; "));
    t.equal(seen.length, hasHandler ? 1 : 0);
    t.equal(lines.at(-1), "info container: exits with 1");
  }
});

t.test("background work that ends is in the log, once", async (t) => {
  const clock = new FakeClock();
  const proc = new FakeProcess();
  const { lines, logger } = logging();
  const consumer = resource("consumer", {
    start: () => ({}),
    run: () => Promise.reject(new Error("lost the broker")),
    rerun: { maxReruns: 1 },
  });
  const code = runMain(container([consumer], { clock, name: "worker" }), { clock, process: proc, logger });
  t.equal(await clock.runUntil(code), 1);
  const ends = lines.filter((line) => line.startsWith("error BACKGROUND_ENDED"));
  t.equal(ends.length, 2, lines.join("\n"));
  t.match(ends[0], /it runs again in \d+ ms/);
  t.match(ends[1], /it is not run again/);
  t.same(proc.written, []);
  t.equal(lines.at(-1), "info worker: exits with 1");
});

t.test("pino's logger and console are loggers", (t) => {
  const pino: { info: { (obj: object, msg?: string): void; (msg: string): void } } = { info: () => {} };
  const options: Pick<MainOptions, "logger"> = { logger: { ...console, info: pino.info } };
  t.equal(typeof options.logger?.info, "function");
  t.end();
});
