import { spawn } from "node:child_process";
import { once } from "node:events";
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { CHANNELS, guarded, resource } from "@steward/core";
import { channel } from "node:diagnostics_channel";
import { FakeClock, sleep, until } from "@steward/testing";
import t from "tap";
import { container, serveManagement } from "../../src/index.ts";
import { spentIn } from "../../src/profile/frames.ts";
import { longTurns, profiled, profileRoute, slowCalls, type LongTurn } from "../../src/profile.ts";

const TOKEN = "h4nd-m4de-t0ken-0";
const headers = { authorization: `Bearer ${TOKEN}` };
const running = await container([resource("one", { start: () => 1 })]).start();
t.teardown(() => running.stop());

/** Does nothing but take time. */
function burnsTime(ms: number): number {
  let sum = 0;
  for (const until = performance.now() + ms; performance.now() < until;)
    for (let i = 0; i < 20_000; i++) sum = (sum * 31 + i) % 1_000_003;
  return sum + 1;
}

async function served(options: Partial<Parameters<typeof profileRoute>[0]> = {}) {
  const routes = { "/profile": profileRoute({ token: TOKEN, ...options }) };
  const management = await serveManagement(running, { routes });
  const ask = (query: string, method = "POST") => fetch(`${management.url}/profile?${query}`, { method, headers });
  return { ask, url: `${management.url}/profile`, [Symbol.asyncDispose]: () => management.stop() };
}

t.test("a profile of the CPU names the function that had the time, and is a file for DevTools", async (t) => {
  await using route = await served();
  const burning = setInterval(() => burnsTime(5), 6);
  const named = async (): Promise<boolean> => {
    const answer = await route.ask("ms=150&intervalMs=1");
    t.equal(answer.status, 200);
    t.match(answer.headers.get("content-disposition"), /^attachment; filename="[\w-]+Z\.cpuprofile"$/);
    const { nodes } = (await answer.json()) as { nodes: { callFrame: { functionName: string } }[] };
    return nodes.some(({ callFrame }) => callFrame.functionName === "burnsTime");
  };
  await until(named, "the function"); // a busy machine may take no sample
  clearInterval(burning);
});

t.test("a profile of allocations is a file for DevTools", async (t) => {
  await using route = await served();
  const answer = await route.ask("ms=20&kind=heap-sampling");
  t.match(answer.headers.get("content-disposition"), /\.heapprofile"$/);
  t.match(await answer.json(), { head: { callFrame: { functionName: "(root)" } } });
});

t.test("it answers no one without the token, only POST, only what may be asked, and one at a time", async (t) => {
  await using route = await served({ maxMs: 1_000 });
  t.equal((await fetch(route.url, { method: "POST" })).status, 401);
  t.equal((await fetch(route.url, { method: "POST", headers: { authorization: "Bearer wrong" } })).status, 401);
  const read = await route.ask("", "GET");
  t.strictSame([read.status, read.headers.get("allow")], [405, "POST"]);
  for (const query of ["ms=1001", "ms=0", "ms=x", "kind=all", "kind=snapshot", "intervalMs=0.5"])
    t.equal((await route.ask(query)).status, 400, query);
  const first = route.ask("ms=300");
  await until(async () => (await route.ask("ms=1")).status === 409, "the first profile");
  const second = await route.ask("ms=1");
  t.match(await second.json(), { code: "PROFILE_RUNNING", error: /cpu/ });
  await t.rejects(
    profiled(() => 1),
    { code: "PROFILE_RUNNING" },
  );
  t.equal((await first).status, 200);
  t.equal((await route.ask("ms=1")).status, 200, "and then the next");
});

t.test("a client that goes ends its profile, and one that is too large is not sent", async (t) => {
  await using route = await served({ maxBytes: 100 });
  const gone = new AbortController();
  const asked = fetch(`${route.url}?ms=60000`, { method: "POST", headers, signal: gone.signal });
  await until(async () => (await route.ask("ms=1")).status === 409, "the profile");
  gone.abort();
  await t.rejects(asked);
  await until(async () => (await route.ask("ms=1")).status !== 409, "its end");
  const answer = await route.ask("ms=1");
  t.equal(answer.status, 500);
  t.match(await answer.json(), { code: "PROFILE_TOO_LARGE" });
});

t.test("a client that went before the recording began ends it too", async (t) => {
  const request = new IncomingMessage(new Socket());
  Object.assign(request, { method: "POST", url: "/profile?ms=20000", headers });
  const response = new ServerResponse(request);
  response.destroy();
  const began = performance.now();
  await profileRoute({ token: TOKEN })(request, response);
  t.ok(performance.now() - began < 10_000);
});

t.test("a snapshot of the heap is for who allows it", async (t) => {
  await using route = await served({ snapshot: true });
  const answer = await route.ask("kind=snapshot");
  t.match(answer.headers.get("content-disposition"), /\.heapsnapshot"$/);
  t.match((await answer.text()).slice(0, 100), /^\{"snapshot":/);
});

/** A process with an open port for debuggers, which profiles itself; gives what it says. */
async function debugged(query: string): Promise<string> {
  const program = `
    import { resource } from "@steward/core";
    import { container, serveManagement } from "@steward/container";
    import { profileRoute } from "@steward/container/profile";
    const running = await container([resource("one", { start: () => 1 })]).start();
    const routes = { "/profile": profileRoute({ token: "${TOKEN}" }) };
    const management = await serveManagement(running, { routes });
    const headers = { authorization: "Bearer ${TOKEN}" };
    const answer = await fetch(management.url + "/profile?${query}", { method: "POST", headers });
    console.log(answer.status, (await answer.text()).slice(0, 40));
    await management.stop();
    await running.stop();`;
  const args = ["--inspect=127.0.0.1:0", "--input-type=module", "--eval", program];
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "ignore"],
    env: { PATH: process.env["PATH"] },
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  await once(child, "close");
  return output;
}

t.test("nothing is profiled while a debugger may be attached, unless it is forced", async (t) => {
  const [refused, forced] = await Promise.all([debugged("ms=1"), debugged("ms=1&force=1")]);
  t.match(refused, /^409 \{"code":/);
  t.match(refused, "PROFILE_DEBUGGER");
  t.match(forced, /^200 \{/);
});

t.test("profiled names the functions with the most time of their own, and gives what the work gave", async (t) => {
  const { value, frames, durationMs, busyMs, gcMs, profile } = await profiled(() => burnsTime(100), { top: 3 });
  t.ok(value > 0);
  t.ok(durationMs >= 100);
  t.ok(frames.length <= 3);
  const first = frames.find((frame) => frame.function === "burnsTime");
  t.match(first, { url: /profile\.test/, line: Number });
  t.ok((first?.selfMs ?? 0) > 10 && (first?.selfShare ?? 0) <= 1);
  t.ok(busyMs >= (first?.selfMs ?? 0) && gcMs >= 0);
  t.ok((profile.samples?.length ?? 0) > 0);
  await t.rejects(
    profiled(() => Promise.reject(new Error("no"))),
    { message: "no" },
  );
  t.equal((await profiled(async () => 2)).value, 2, "an error ends its profile");
  for (const options of [{ intervalMs: 0 }, { top: 0 }, { every: 1 }])
    await t.rejects(
      profiled(() => 1, options as never),
      { code: "OPTIONS_INVALID" },
    );
});

t.test("time is that of a function itself, the most first, without waiting, and between two moments", async (t) => {
  const node = (id: number, functionName: string, lineNumber = 0) => ({
    id,
    callFrame: { functionName, scriptId: "1", url: "file:///a.js", lineNumber, columnNumber: 0 },
  });
  const profile = {
    nodes: [
      node(1, "(root)"),
      node(2, "(idle)"),
      node(3, "parse", 4),
      node(4, ""),
      node(5, "(garbage collector)"),
      node(6, "parse", 4),
    ],
    startTime: 1_000,
    endTime: 61_000,
    samples: [2, 3, 4, 6, 5],
    timeDeltas: [0, 10_000, 20_000, 5_000, 20_000], // idle 10, parse 20, anonymous 5, parse 20, garbage 5
  };
  const whole = spentIn(profile, 2);
  t.match(whole, { busyMs: 50, gcMs: 5 });
  t.strictSame(
    whole.frames.map((frame) => [frame.function, frame.line, frame.selfMs, frame.selfShare]),
    [
      ["parse", 5, 40, 0.8],
      ["(anonymous)", 1, 5, 0.1],
    ],
  );
  const part = spentIn(profile, 5, 25, 36);
  t.strictSame(
    part.frames.map((frame) => [frame.function, frame.selfMs]),
    [
      ["parse", 6],
      ["(anonymous)", 5],
    ],
  );
});

t.test("slow calls are reported with their resource, a bounded number in a minute, until disposed", async (t) => {
  const store = resource("store", { start: () => ({}), guard: {} });
  const clock = new FakeClock();
  await using up = await container([store], { clock, health: false }).start();
  const value = up.get(store);
  const seen: unknown[] = [];
  const slow = slowCalls({ overMs: 5, report: (call) => seen.push(call), maxPerMinute: 2 });
  await guarded(value, () => 1);
  for (let i = 0; i < 3; i++) await clock.runUntil(guarded(value, () => clock.sleep(8), { operation: "GetObject" }));
  t.match(seen, [{ resource: "store", operation: "GetObject", durationMs: 8, queuedMs: 0 }, { resource: "store" }]);
  t.equal(seen.length, 2);
  slow[Symbol.dispose]();
  t.equal(channel(CHANNELS.call).hasSubscribers, false);
  t.throws(() => slowCalls({ overMs: "x", report: 1 } as never), { code: "OPTIONS_INVALID" });
});

t.test("what a report throws ends no process", async (t) => {
  let reports = 0;
  const report = (): never => {
    reports++;
    throw new Error("a report that fails");
  };
  {
    using _slow = slowCalls({ overMs: 0, report });
    channel(CHANNELS.call).publish({ resource: "store", durationMs: 1 });
    t.equal(reports, 1);
  }
  await using _turns = longTurns({ overMs: 60, report });
  await until(() => (burnsTime(100), reports > 1), "a long turn");
  await new Promise((resolve) => setImmediate(resolve)); // when what was thrown would come up
});

t.test(
  "a long turn is reported with the resource whose answer was handled, and the functions that had the time",
  async (t) => {
    const store = resource("store", { start: () => ({}), guard: {} });
    await using up = await container([store]).start();
    const value = up.get(store);
    const turns: LongTurn[] = [];
    const watch = longTurns({ overMs: 60, frames: true, report: (turn) => turns.push(turn) });
    // Once it is optimised, it is a part of the function that calls it.
    const names = ["burnsTime", "found"];
    const named = ({ frames }: LongTurn): boolean => frames.slice(0, 3).some((frame) => names.includes(frame.function));
    const found = async (): Promise<boolean> => {
      await guarded(value, () => 1, { operation: "GetObject" });
      burnsTime(150);
      return turns.some(named); // the first ones may come before the recording is on
    };
    await guarded(value, () => 1, { operation: "Old" });
    await sleep(100);
    await until(found, "a report");
    const turn = turns.find(named);
    t.notOk(
      turn?.calls.some(({ operation }) => operation === "Old"),
      "that was before",
    );
    t.ok((turn?.durationMs ?? 0) > 60);
    t.match(turn?.calls[0], { resource: "store", operation: "GetObject" });
    t.ok((turn?.calls[0]?.beforeMs ?? 0) > 100);
    await watch[Symbol.asyncDispose]();
    t.equal(channel(CHANNELS.call).hasSubscribers, false);
    t.throws(() => longTurns({ overMs: 1, report: () => {} }), { code: "OPTIONS_INVALID" });
  },
);
