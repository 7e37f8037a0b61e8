import { spawn } from "node:child_process";
import { hasSubscribers } from "node:diagnostics_channel";
import { once } from "node:events";
import { Agent, createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import t from "tap";
import {
  container,
  healthEndpoints,
  runMain,
  serveManagement,
  type MainOptions,
  type RunningContainer,
} from "../src/index.ts";
import { CHANNELS, resource } from "@steward/core";
import { publishServing } from "@steward/core/driver";
import { FakeClock } from "@steward/core/testing";
import { FakeProcess } from "./fake-process.ts";

/** A process with an HTTP server, on a fake clock; what happens to it is in `log`. */
async function serving(options: Partial<MainOptions> = {}) {
  const clock = new FakeClock();
  const proc = new FakeProcess();
  const log: string[] = [];
  const server = resource("server", {
    start: async () => {
      const http = createServer((_request, response) => response.end("hello")).listen(0, "127.0.0.1");
      await once(http, "listening");
      return http;
    },
    drain: (http) => {
      log.push(`drains @${clock.now()}`);
      http.close();
      http.closeIdleConnections();
    },
    stop: (http) => http.closeAllConnections(),
  });
  let onReady: (running: RunningContainer) => void = () => {};
  const ready = new Promise<RunningContainer>((resolve) => (onReady = resolve));
  const code = runMain(container([server], { clock }), {
    clock,
    process: proc,
    ...options,
    onReady,
    onShutdown: ({ reason, delayMs }) => log.push(`${reason}, delay ${delayMs}`),
  });
  const running = await ready;
  const { port } = running.get(server).address() as AddressInfo; // it listens on TCP
  return { clock, proc, log, code, running, url: `http://127.0.0.1:${port}` };
}

/** One request over the agent's sockets. */
async function ask(url: string, agent: Agent): Promise<IncomingMessage> {
  const [response] = (await once(get(url, { agent }), "response")) as [IncomingMessage]; // the event has one argument
  await once(response.resume(), "end");
  return response;
}

t.test(
  "a process that has served a request keeps serving for 3 s after SIGTERM, not ready and sending clients away",
  async (t) => {
    const { clock, proc, log, code, running, url } = await serving();
    const agent = new Agent({ keepAlive: true });
    t.equal((await ask(url, agent)).headers.connection, "keep-alive");
    proc.send("SIGTERM");
    await clock.advance(2_999);
    t.strictSame(log, ["SIGTERM, delay 3000"]);
    t.equal(healthEndpoints(running)("GET", "/readyz")?.status, 503);
    const reply = await ask(url, agent);
    t.equal(reply.statusCode, 200);
    t.equal(reply.headers.connection, "close");
    t.equal(await clock.runUntil(code), 0);
    t.strictSame(log, ["SIGTERM, delay 3000", "drains @3000"]);
    agent.destroy();
  },
);

t.test("one that has served nothing stops at once, and so does one whose operators alone have asked", async (t) => {
  const { clock, proc, log, code, running } = await serving();
  await using management = await serveManagement(running);
  t.equal((await fetch(`${management.url}/livez`)).status, 200);
  proc.send("SIGTERM");
  t.equal(await clock.runUntil(code), 0);
  t.strictSame(log, ["SIGTERM, delay 0", "drains @0"]);
});

t.test("a server that does not speak HTTP/1 says itself that it serves", async (t) => {
  const { clock, proc, log, code } = await serving();
  publishServing("grpc");
  proc.send("SIGTERM");
  t.equal(await clock.runUntil(code), 0);
  t.strictSame(log, ["SIGTERM, delay 3000", "drains @3000"]);
});

t.test("what was served counts not for Ctrl-C, less than Kubernetes, and less than an own delay", async (t) => {
  const cases = [
    { signal: "SIGINT", options: {}, kubernetes: true, delay: 0 },
    { signal: "SIGTERM", options: {}, kubernetes: true, delay: 5_000 },
    { signal: "SIGTERM", options: { shutdownDelayMs: 0 }, kubernetes: true, delay: 0 },
    { signal: "SIGTERM", options: { shutdownDelayMs: 700 }, kubernetes: false, delay: 700 },
    { signal: "SIGHUP", options: {}, kubernetes: false, delay: 3_000 },
  ] as const;
  for (const { signal, options, kubernetes, delay } of cases) {
    const { clock, proc, log, code, url } = await serving(options);
    if (kubernetes) proc.env["KUBERNETES_SERVICE_HOST"] = "10.0.0.1";
    await (await fetch(url)).text();
    proc.send(signal);
    t.equal(await clock.runUntil(code), 0);
    t.equal(log[0], `${signal}, delay ${delay}`);
  }
});

t.test("replies keep their connections again once the process has ended, in tests that go on", async (t) => {
  const first = await serving();
  first.proc.send("SIGINT");
  await first.clock.runUntil(first.code);
  const { clock, proc, code, url } = await serving();
  const agent = new Agent({ keepAlive: true });
  t.equal((await ask(url, agent)).headers.connection, "keep-alive");
  agent.destroy();
  proc.send("SIGINT");
  await clock.runUntil(code);
});

t.test("requests are listened to until the first one, and to send clients away, and not after the end", async (t) => {
  const heard = (): boolean[] => ["http.server.request.start", CHANNELS.serving].map((name) => hasSubscribers(name));
  const served = await serving();
  t.strictSame(heard(), [true, true]);
  await (await fetch(served.url)).text();
  t.strictSame(heard(), [false, false], "later requests cost nothing");
  served.proc.send("SIGINT");
  await served.clock.runUntil(served.code);
  t.strictSame(heard(), [false, false]);

  const quiet = await serving({ shutdownDelayMs: 100 });
  quiet.proc.send("SIGTERM");
  await quiet.clock.advance(50);
  t.strictSame(heard(), [true, false]);
  await quiet.clock.runUntil(quiet.code);
  t.strictSame(heard(), [false, false]);

  const clock = new FakeClock();
  const failing = resource("failing", { start: () => Promise.reject(new Error("no")) });
  t.equal(await runMain(container([failing], { clock }), { clock, process: new FakeProcess() }), 1);
  t.strictSame(heard(), [false, false]);
});

t.test("SIGHUP can be ignored, or call a function, such as one that reads the configuration again", async (t) => {
  const ignoring = await serving({ onHangup: "ignore" });
  ignoring.proc.send("SIGHUP");
  ignoring.proc.send("SIGHUP");
  await ignoring.clock.advance(60_000);
  t.strictSame(ignoring.proc.exits, []);
  ignoring.proc.send("SIGINT");
  t.equal(await ignoring.clock.runUntil(ignoring.code), 0);

  const called: unknown[] = [];
  const reading = await serving({
    onHangup: (running) => {
      called.push(running);
      throw new Error("the file is not JSON");
    },
  });
  reading.proc.send("SIGHUP");
  await reading.clock.advance(60_000);
  t.strictSame(called, [reading.running]);
  t.match(reading.proc.written.join(), /the file is not JSON/);
  t.strictSame(reading.proc.exits, []);
  reading.proc.send("SIGINT");
  t.equal(await reading.clock.runUntil(reading.code), 0);
});

t.test(
  "an error that nothing caught is reported with its stack, stops everything in order, and the code is 1",
  async (t) => {
    const { clock, proc, log, code, url } = await serving();
    await (await fetch(url)).text();
    t.ok(proc.uncaught(new TypeError("oops")));
    t.equal(await clock.runUntil(code), 1);
    t.strictSame(log, ["uncaught error, delay 0", "drains @0"]);
    t.match(proc.written[0], /^UNCAUGHT_ERROR: nothing caught: oops\n +TypeError: oops\n +at /);
    t.equal(proc.listening, 0);
    t.notOk(proc.uncaught(new Error("later")), "nothing listens any more");
  },
);

t.test("one during a shutdown is reported too, lets it go on, and makes the code 1", async (t) => {
  const errors: unknown[] = [];
  const { clock, proc, log, code } = await serving({ shutdownDelayMs: 100, onError: (error) => errors.push(error) });
  proc.send("SIGTERM");
  await clock.advance(50);
  proc.uncaught("not even an error");
  t.equal(await clock.runUntil(code), 1);
  t.strictSame(log, ["SIGTERM, delay 100", "drains @100"]);
  t.match(errors, [{ code: "UNCAUGHT_ERROR", message: /not even an error/, cause: "not even an error" }]);
});

t.test("one during the start gives the start up, and the code is 1 even after a signal", async (t) => {
  for (const signalled of [false, true]) {
    const clock = new FakeClock();
    const proc = new FakeProcess();
    const slow = resource("slow", { start: (_needs, { signal }) => clock.sleep(10_000, signal) });
    const code = runMain(container([slow], { clock }), { clock, process: proc });
    await clock.settle();
    if (signalled) proc.send("SIGTERM");
    proc.uncaught(new Error("oops"));
    t.equal(await clock.runUntil(code), 1);
    t.equal(clock.now(), 0);
  }
});

t.test("uncaught errors can be left to Node", async (t) => {
  const { clock, proc, code } = await serving({ onUncaught: "crash" });
  t.notOk(proc.uncaught(new Error("oops")));
  proc.send("SIGINT");
  t.equal(await clock.runUntil(code), 0);
});

const program = (trouble: string): string => `
import { resource } from "@steward/core";
import { container, runMain } from "@steward/container";
const db = resource("db", { start: () => "db", stop: () => console.log("db stops") });
await runMain(container([db]), { onReady: () => { console.log("ready"); ${trouble} } });
`;

t.test("a real process stops in order at SIGHUP, and at what is thrown or rejected and nothing catches", async (t) => {
  const cwd = fileURLToPath(new URL("../..", import.meta.url));
  const { NODE_OPTIONS: _loader, ...env } = process.env;
  const cases = [
    { trouble: "process.kill(process.pid, 'SIGHUP')", code: 0, errors: /^$/ },
    {
      trouble: "setTimeout(() => { throw new Error('oops'); }, 1)",
      code: 1,
      errors: /^UNCAUGHT_ERROR: .*oops\n +Error: oops/,
    },
    {
      trouble: "setTimeout(() => Promise.reject(new Error('no')), 1)",
      code: 1,
      errors: /^UNCAUGHT_ERROR: .*no\n +Error: no/,
    },
  ];
  for (const { trouble, code, errors } of cases) {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program(trouble)], { cwd, env });
    let [output, said] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (said += chunk));
    const [ended] = await once(child, "close");
    t.equal(ended, code, trouble);
    t.equal(output, "ready\ndb stops\n");
    t.match(said, errors);
  }
});
