import type { MetricSample } from "@steward/core";
import { failure, trackHandles } from "@steward/testing";
import t from "tap";
import type { HttpSessionManager, OriginStats } from "../../src/index.ts";
import { testHttp } from "../../src/testing.ts";
import { serve, started, type TestServer } from "../servers.ts";

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

/** A server whose status is what the test says, and whose `/never` is never answered. */
async function moody(): Promise<TestServer & { status: number }> {
  const server: TestServer & { status: number } = Object.assign(
    await serve((request, response) => {
      if (request.url?.startsWith("/never") !== true) response.writeHead(server.status).end(`it is ${server.status}`);
    }),
    { status: 200 },
  );
  return server;
}

const get = async (http: HttpSessionManager, url: string): Promise<string> => {
  const { statusCode, body } = await http.client.request(url);
  return `${statusCode} ${await body.text()}`;
};

const ofOrigin = (http: HttpSessionManager, { url }: TestServer): OriginStats | undefined =>
  (http.stats()["origins"] as Record<string, OriginStats>)[url]; // what stats are made of

/** A server that accepts calls and breaks their connections while it is told to. */
async function fragile(): Promise<TestServer & { broken: boolean }> {
  const server: TestServer & { broken: boolean } = Object.assign(
    await serve((request, response) => void (server.broken ? request.socket.destroy() : response.end("x"))),
    { broken: false },
  );
  return server;
}

t.test("an answer of 502 to 504 is handed over and degrades just its origin, but opens no circuit", async (t) => {
  await using broken = await moody();
  await using well = await moody();
  broken.status = 503;
  await using http = await started({ retry: false, breaker: { consecutiveFailures: 3 } });
  t.equal(await get(http, well.url), "200 it is 200");
  for (let i = 0; i < 30; i++) t.equal(await get(http, broken.url), "503 it is 503");
  t.match(ofOrigin(http, broken), { started: 30, succeeded: 0, failed: 30, refused: 0, inUse: 0 });
  t.match(ofOrigin(http, well), { started: 1, succeeded: 1, failed: 0 });
  t.match(http.passive, { failingRatio: 0, degradedRatio: 0.5, reason: /it answers badly: .* status 503/ });
  broken.status = 200;
  for (let i = 0; i < 40; i++) await get(http, broken.url);
  t.match(http.passive, { failingRatio: 0, isSuspect: false });
});

t.test("a connection that breaks counts for the circuit of just its origin", async (t) => {
  await using broken = await fragile();
  await using well = await moody();
  broken.broken = true;
  await using http = await started({ retry: false, breaker: { consecutiveFailures: 3, breakDurationMs: 60_000 } });
  for (let i = 0; i < 3; i++) await failure(get(http, broken.url));
  t.match(await failure(get(http, broken.url)), {
    code: "CIRCUIT_OPEN",
    message: `http ${broken.url}: the circuit is open: 3 failures in a row`,
  });
  t.equal(await get(http, well.url), "200 it is 200");
  t.match(ofOrigin(http, broken), { started: 3, succeeded: 0, failed: 3, refused: 1, inUse: 0 });
  t.match(http.passive, { failingRatio: 0.5, reason: /3 failures in a row/ });
});

t.test("the last answer of a call that was retried counts as its earlier ones did", async (t) => {
  await using server = await moody();
  server.status = 503;
  await using http = await started({ retry: { maxAttempts: 2, baseDelayMs: 1, budgetRatio: 1 } });
  for (let i = 0; i < 3; i++) t.equal(await get(http, server.url), "503 it is 503");
  t.equal(server.seen.length, 6);
  t.match(ofOrigin(http, server), { started: 6, failed: 6, retried: 3 });
  t.match(http.passive, { degradedRatio: 1 });
});

t.test("which statuses speak against an origin is an option; a caller's own mistakes never do", async (t) => {
  await using server = await moody();
  await using usual = await started({ retry: { maxAttempts: 2, baseDelayMs: 1, budgetRatio: 1 } });
  for (server.status of [400, 404, 429, 500]) for (let i = 0; i < 6; i++) await get(usual, server.url);
  t.match(usual.passive, { failingRatio: 0, degradedRatio: 0, isSuspect: false });
  await using strict = await started({ retry: false, failureStatuses: [500] });
  server.status = 503;
  for (let i = 0; i < 6; i++) await get(strict, server.url);
  t.match(strict.passive, { degradedRatio: 0 });
  server.status = 500;
  for (let i = 0; i < 6; i++) await get(strict, server.url);
  t.match(strict.passive, { degradedRatio: 1 });
});

t.test("the probe asks an origin whose calls fail or get no answer, and believes what it says then", async (t) => {
  await using server = await moody();
  await using http = await started({ retry: false });
  await get(http, server.url);
  await http.probe();
  t.notOk(server.seen.includes("HEAD /"), "calls that succeed tell enough");
  t.match(await failure(http.client.request(`${server.url}/never`, { timeoutMs: 300 })), {
    code: "DEADLINE_EXCEEDED",
    message: new RegExp(`^http ${server.url}: no answer after`),
  });
  await http.probe();
  t.ok(server.seen.includes("HEAD /"), "it answers something");
  await server[Symbol.asyncDispose]();
  await failure(get(http, server.url));
  t.match(await failure(http.probe()), {
    code: "HTTP_PROBE_FAILED",
    message: new RegExp(`^http: no origin in use answers \\(.*ECONNREFUSED`),
  });
});

t.test("only calls of the probe's own origin stand in for the probe", async (t) => {
  await using probed = await moody();
  await using other = await moody();
  await using http = await started({ probeUrl: `${probed.url}/health` });
  await get(http, other.url);
  t.equal(http.passive.lastSuccessAt, Number.NEGATIVE_INFINITY);
  await get(http, probed.url);
  t.ok(http.passive.lastSuccessAt > 0);
});

t.test("an origin whose circuit is open may be tried at once when something else tells that it answers", async (t) => {
  await using server = await fragile();
  server.broken = true;
  await using http = await started({ retry: false, breaker: { consecutiveFailures: 1, breakDurationMs: 60_000 } });
  await failure(get(http, server.url));
  server.broken = false;
  t.match(await failure(get(http, server.url)), { code: "CIRCUIT_OPEN" });
  http.answers();
  t.equal(await get(http, server.url), "200 x");
});

/** Series by name, each as its attributes and value. */
function seriesOf(http: HttpSessionManager, name: string): readonly Pick<MetricSample, "attributes" | "value">[] {
  return [...http.metrics()].filter((sample) => sample.name === name);
}

t.test("series tell requests by origin, method and outcome, and connections by state", async (t) => {
  await using server = await moody();
  await using http = await started({ retry: false, timeoutMs: 10_000 });
  const own = { resource: "http", "server.address": "127.0.0.1", "server.port": String(server.port) };
  await get(http, server.url);
  await get(http, server.url);
  server.status = 503;
  await (await http.client.request(server.url, { method: "POST" })).body.text();
  await failure(http.client.request(`${server.url}/never`, { timeoutMs: 20 }));
  const running = new AbortController();
  const call = failure(http.client.request(`${server.url}/never?running`, { signal: running.signal }));
  while (!server.seen.includes("GET /never?running")) await new Promise((resolve) => setImmediate(resolve));
  t.match(seriesOf(http, "http.client.active_requests"), [{ attributes: own, value: 1 }]);
  t.match(seriesOf(http, "http.client.open_connections"), [
    { attributes: { ...own, "http.connection.state": "active" }, value: 1 },
    { attributes: { ...own, "http.connection.state": "idle" }, value: 0 },
  ]);
  running.abort();
  await call;
  const durations = seriesOf(http, "http.client.request.duration");
  t.match(durations, [
    { attributes: { ...own, "http.request.method": "GET", "http.response.status_code": "200" }, value: { count: 2 } },
    {
      attributes: { ...own, "http.request.method": "POST", "http.response.status_code": "503", "error.type": "503" },
      value: { count: 1 },
    },
    { attributes: { "http.request.method": "GET", "error.type": "DEADLINE_EXCEEDED" }, value: { count: 1 } },
    { attributes: { "http.request.method": "GET", "error.type": "CALL_ABORTED" }, value: { count: 1 } },
  ]);
  t.notHas(durations[0]?.attributes, { "error.type": /./ });
  const outcomes = seriesOf(http, "dependency_requests_total").map(({ attributes, value }) => [
    attributes["outcome"],
    value,
  ]);
  t.same(outcomes, [
    ["success", 2],
    ["failure", 3],
    ["overloaded", 0],
    ["circuit_open", 0],
  ]);
});

t.test("a stream is timed to its headers, and an attempt that is retried by itself", async (t) => {
  let asked = 0;
  await using server = await serve((_request, response) => {
    if (++asked === 1) return void response.writeHead(503).end();
    response.write("first");
    setTimeout(() => response.end("last"), 300);
  });
  await using http = await started({ retry: { maxAttempts: 2, baseDelayMs: 1, budgetRatio: 1 } });
  const { body } = await http.client.request(server.url, { streaming: true });
  t.match(seriesOf(http, "http.client.request.duration"), [
    { attributes: { "http.response.status_code": "503" }, value: { count: 1 } },
    { attributes: { "http.response.status_code": "200" }, value: { count: 1 } },
  ]);
  await body.text();
  t.equal(seriesOf(http, "http.client.request.duration").length, 2, "told once");
});

t.test("counts never fall: not when an origin is forgotten, nor over a stop", async (t) => {
  await using a = await moody();
  await using b = await moody();
  await using http = await started({ maxOrigins: 1 });
  const sum = (name: string): number =>
    seriesOf(http, name)
      .filter(({ attributes }) => attributes["outcome"] !== "failure")
      .reduce((total, { value }) => total + (typeof value === "number" ? value : value.count), 0);
  const NAMES = ["dependency_requests_total", "dependency_duration_seconds", "http.client.request.duration"];
  const sums = (): number[] => NAMES.map(sum);
  await get(http, a.url);
  await get(http, b.url);
  t.same(sums(), [2, 2, 2]);
  await get(http, a.url);
  t.same(sums(), [3, 3, 3]);
  await http.stop();
  t.same(sums(), [3, 3, 3]);
  await http.start();
  await get(http, b.url);
  t.same(sums(), [4, 4, 4]);
});

t.test("series stay few, however many origins, methods and statuses there are", async (t) => {
  const manager = testHttp({ maxOrigins: 200, retry: false });
  const { agent } = manager;
  await using http = await manager.start();
  for (let i = 0; i < 120; i++) {
    agent.get(`http://host${i}.example`).intercept({ path: "/" }).reply(200, "");
    await get(http, `http://host${i}.example/`);
  }
  agent
    .get("http://host0.example")
    .intercept({ path: "/made-up", method: () => true })
    .reply(() => ({ statusCode: 200 + (asked++ % 300), data: "" }))
    .times(150);
  let asked = 0;
  for (let i = 0; i < 150; i++) {
    const method = `M${i}` as "GET"; // a server may know any method
    await (await http.client.request("http://host0.example/made-up", { method })).body.text();
  }
  const durations = seriesOf(http, "http.client.request.duration");
  t.equal(new Set(durations.map(({ attributes }) => attributes["server.address"])).size, 51);
  t.ok(durations.length <= 50 + 51);
  const counted = durations.map(({ value }) => (typeof value === "number" ? value : value.count));
  t.equal(
    counted.reduce((sum, count) => sum + count),
    270,
    "none is left out",
  );
  t.same(seriesOf(http, "http.client.open_connections"), [], "connections of another are its own affair");
});
