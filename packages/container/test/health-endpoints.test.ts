import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { until } from "@steward/testing";
import t from "tap";
import { announceShutdown } from "../src/framework.ts";
import {
  container,
  healthEndpoints,
  serveManagement,
  type HealthReport,
  type ManagementRoute,
  type ResourceHealth,
} from "../src/index.ts";
import { resource } from "@steward/core";

const READ_AT = "2026-11-28T12:00:00.000Z";

/** A running thing with the given resources. */
function seen(
  resources: readonly Partial<ResourceHealth>[],
  report: Partial<HealthReport> = {},
): { health(): HealthReport } {
  const full = resources.map((given): ResourceHealth => ({
    name: "r",
    status: "healthy",
    ownStatus: given.status ?? "healthy",
    phase: "ready",
    driver: undefined,
    criticality: "critical",
    readiness: "gate",
    tags: [],
    sinceMs: 0,
    probeMs: undefined,
    lastCheckAt: undefined,
    responseTimeMs: undefined,
    errorCount: undefined,
    reason: undefined,
    about: undefined,
    causes: [],
    ...given,
  }));
  const facts = { timestamp: READ_AT, version: "1.2.3", uptimeMs: 5_000, reason: undefined };
  return { health: () => ({ status: "healthy", phase: "ready", ...facts, ...report, resources: full }) };
}

const statuses = (answer: ReturnType<typeof healthEndpoints>) =>
  Object.fromEntries(["/livez", "/startupz", "/readyz", "/health"].map((path) => [path, answer("GET", path)?.status]));

t.test("a process that is starting is alive, and nothing else yet", async (t) => {
  t.strictSame(statuses(healthEndpoints(() => undefined)), {
    "/livez": 200,
    "/startupz": 503,
    "/readyz": 503,
    "/health": 503,
  });
  t.strictSame(statuses(healthEndpoints(seen([], { phase: "starting", status: "unknown" }))), {
    "/livez": 200,
    "/startupz": 503,
    "/readyz": 503,
    "/health": 503,
  });
});

t.test("a container is ready once it has started, and no more when it drains", async (t) => {
  const running = await container([resource("config", { start: () => ({}) })]).start();
  const answer = healthEndpoints(running);
  t.strictSame(statuses(answer), { "/livez": 200, "/startupz": 200, "/readyz": 200, "/health": 200 });
  await running.stop();
  t.strictSame(statuses(answer), { "/livez": 200, "/startupz": 200, "/readyz": 503, "/health": 503 });
});

t.test("an announced shutdown takes readiness away while the container still works", async (t) => {
  await using running = await container([resource("config", { start: () => ({}) })]).start();
  const answer = healthEndpoints(running);
  announceShutdown(running);
  t.equal(running.phase, "ready");
  t.equal(answer("GET", "/readyz")?.status, 503);
  t.equal(answer("GET", "/health")?.status, 200);
});

t.test("readiness follows what is gate; what is startup or ignore does not count while it runs", async (t) => {
  const ready = (...resources: Partial<ResourceHealth>[]) => healthEndpoints(seen(resources))("GET", "/readyz");
  t.equal(ready({ status: "unhealthy", readiness: "startup" })?.status, 200);
  t.equal(ready({ status: "unhealthy", readiness: "ignore" })?.status, 200);
  t.equal(ready({ status: "degraded", readiness: "gate" })?.status, 200);
  t.equal(ready({ status: "unknown", readiness: "gate" })?.status, 503);
  const gone = ready({ name: "disk", status: "unhealthy", readiness: "gate" });
  t.equal(gone?.status, 503);
  t.strictSame(JSON.parse(gone?.body ?? ""), {
    status: "not ready",
    waitingFor: ["disk"],
    timestamp: READ_AT,
    version: "1.2.3",
    uptimeMs: 5_000,
  });
});

t.test("readiness of a resource is what it says, gate by default, ignore for what may be down", async (t) => {
  const plain = resource("plain", { start: () => 1 });
  const shared = resource("shared", { start: () => 1, readiness: "startup" });
  const extra = resource("extra", { start: () => Promise.reject(new Error("down")), criticality: "optional" });
  const wanted = resource("wanted", {
    start: () => Promise.reject(new Error("down")),
    criticality: "optional",
    readiness: "gate",
  });
  await using running = await container([plain, shared, extra, wanted]).start();
  t.strictSame(Object.fromEntries(running.health().resources.map(({ name, readiness }) => [name, readiness])), {
    plain: "gate",
    shared: "startup",
    extra: "ignore",
    wanted: "gate",
  });
  t.match(healthEndpoints(running)("GET", "/readyz")?.body, /"waitingFor":\["wanted"\]/);
});

t.test("health is 503 when a critical resource is unhealthy, and counts the resources", async (t) => {
  let broken = false;
  const db = resource("db", {
    readiness: "startup",
    start: () => "db",
    probe: () => (broken ? Promise.reject(new Error("no route to 10.0.0.7")) : undefined),
  });
  const cache = resource("cache", { criticality: "optional", start: () => Promise.reject(new Error("down")) });
  await using running = await container([db, cache], { health: { unhealthyAfter: 1 } }).start();
  const answer = healthEndpoints(running);
  t.equal(answer("GET", "/health")?.status, 200);
  t.match(JSON.parse(answer("GET", "/health")?.body ?? ""), {
    status: "degraded",
    phase: "ready",
    resources: { all: 2, ready: 1, healthy: 1, degraded: 0, unhealthy: 1, unknown: 0 },
  });
  broken = true;
  await running.probe();
  t.equal(answer("GET", "/health")?.status, 503);
  t.equal(answer("GET", "/readyz")?.status, 200, "a blip of a shared resource empties no load balancer");
  t.equal(answer("GET", "/health/resources/db")?.status, 503);
});

t.test("resources are shown one by one; why they are not well only where details are asked for", async (t) => {
  const running = seen([{ name: "db main", status: "unhealthy", reason: "no route to 10.0.0.7" }]);
  const brief = healthEndpoints(running);
  t.notMatch(brief("GET", "/health/resources")?.body, /10\.0\.0\.7/);
  t.match(JSON.parse(brief("GET", "/health/resources/db%20main")?.body ?? ""), {
    name: "db main",
    status: "unhealthy",
  });
  const full = healthEndpoints(running, { details: true });
  t.match(JSON.parse(full("GET", "/health/resources")?.body ?? ""), {
    resources: [{ name: "db main", reason: "no route to 10.0.0.7" }],
  });
  t.equal(brief("GET", "/health/resources/nothing")?.status, 404);
  t.equal(brief("GET", "/health/resources/%zz")?.status, 404);
});

t.test("answers are not cached, say when to come back, and have no body for HEAD", async (t) => {
  const answer = healthEndpoints(() => undefined, { retryAfterMs: 2_500 });
  const got = answer("GET", "/readyz");
  t.match(got?.headers, {
    "cache-control": "no-store",
    "retry-after": "3",
    "content-type": "application/json; charset=utf-8",
  });
  const head = answer("HEAD", "/readyz");
  t.equal(head?.body, "");
  t.strictSame(head?.headers, got?.headers);
  t.equal(answer("GET", "/livez")?.headers["retry-after"], undefined);
});

t.test("other methods are refused, other paths are none of theirs", async (t) => {
  const answer = healthEndpoints(seen([]), { prefix: "/internal" });
  t.equal(answer("POST", "/internal/readyz")?.status, 405);
  t.equal(answer("POST", "/internal/readyz")?.headers["allow"], "GET, HEAD");
  t.equal(answer("GET", "/internal/readyz/?verbose=1")?.status, 200);
  for (const path of ["/readyz", "/internal/readyz2", "/internal/healthy", "/internal", "/"])
    t.equal(answer("GET", path), undefined, path);
});

t.test("details need the token where there is one, and are not there where there is none", async (t) => {
  const source = seen([{ name: "db", status: "unhealthy", reason: "no route to 10.0.0.7" }], { status: "unhealthy" });
  t.equal(healthEndpoints(source)("GET", "/health/detailed")?.status, 404);
  const answer = healthEndpoints(source, { token: "s3cret" });
  const refused = answer("GET", "/health/detailed", { authorization: "Bearer s3cre" });
  t.equal(refused?.status, 401);
  t.equal(refused?.headers["www-authenticate"], 'Bearer realm="health"');
  const shown = answer("GET", "/health/detailed", { authorization: "Bearer s3cret" });
  t.equal(shown?.status, 503);
  t.match(JSON.parse(shown?.body ?? ""), {
    status: "unhealthy",
    resources: [{ name: "db", reason: "no route to 10.0.0.7" }],
  });
  t.notMatch(answer("GET", "/health/resources")?.body, /10\.0\.0\.7/);
});

t.test("parts are shown by kind and by tag; a part without resources is not there", async (t) => {
  const answer = healthEndpoints(
    seen([
      { name: "redis", driver: "redis", tags: ["cache"] },
      { name: "users" },
      { name: "keys", tags: ["security"], status: "unhealthy" },
    ]),
  );
  const names = (path: string) =>
    (JSON.parse(answer("GET", path)?.body ?? "") as { resources: { name: string }[] }).resources.map(
      ({ name }) => name,
    );
  t.strictSame(names("/health/dependencies"), ["redis"]);
  t.strictSame(names("/health/services"), ["users", "keys"]);
  t.strictSame(names("/health/cache"), ["redis"]);
  t.equal(answer("GET", "/health/cache")?.status, 200);
  t.equal(answer("GET", "/health/security")?.status, 503);
  t.equal(answer("GET", "/health/config")?.status, 404);
});

t.test("health+json is the answer to who asks for it", async (t) => {
  const source = seen(
    [{ name: "db", driver: "database", status: "degraded", responseTimeMs: 3, lastCheckAt: READ_AT, reason: "slow" }],
    {
      status: "degraded",
    },
  );
  const accept = { accept: "application/health+json" };
  const brief = healthEndpoints(source)("GET", "/health", accept);
  t.equal(brief?.headers["content-type"], "application/health+json");
  t.strictSame(JSON.parse(brief?.body ?? ""), { status: "warn", releaseId: "1.2.3" });
  const full = healthEndpoints(source, { details: true })("GET", "/health/detailed", accept);
  t.strictSame(JSON.parse(full?.body ?? ""), {
    status: "warn",
    releaseId: "1.2.3",
    checks: {
      "db:responseTime": [
        {
          componentType: "datastore",
          status: "warn",
          observedValue: 3,
          observedUnit: "ms",
          time: READ_AT,
          output: "slow",
        },
      ],
    },
  });
  t.match(JSON.parse(healthEndpoints(() => undefined)("GET", "/health", accept)?.body ?? ""), { status: "fail" });
});

t.test("a probe neither asks a resource nor writes JSON anew while nothing changed", async (t) => {
  let reads = 0;
  const resources = [
    {
      get name() {
        return (reads++, "r");
      },
      status: "healthy" as const,
    },
  ];
  const report = seen(resources).health();
  const answer = healthEndpoints({ health: () => report });
  answer("GET", "/health");
  reads = 0;
  for (let i = 0; i < 200; i++) answer("GET", "/health");
  t.equal(reads, 0);
});

t.test("a management listener serves health with details and more, and ends with its connections", async (t) => {
  await using running = await container([resource("config", { start: () => ({}) })]).start();
  const management = await serveManagement(running, {
    routes: { "/metrics": (_request, response) => response.end("up 1\n") },
  });
  t.equal((await fetch(`${management.url}/readyz`)).status, 200);
  t.match(await (await fetch(`${management.url}/health/detailed`)).json(), {
    status: "healthy",
    resources: [{ name: "config" }],
  });
  t.equal(await (await fetch(`${management.url}/metrics`)).text(), "up 1\n");
  t.equal((await fetch(`${management.url}/nothing`)).status, 404);
  await t.rejects(serveManagement(running, { port: management.port }), { code: "EADDRINUSE" });
  await management.stop();
  await t.rejects(fetch(`${management.url}/readyz`));
});

t.test(
  "streams of a management listener say their last before it ends, and one that does not end is cut off",
  async (t) => {
    const open = new Set<ServerResponse>();
    const stream: ManagementRoute = (_request, response) => {
      open.add(response);
      response.writeHead(200, { connection: "close" }).write("first\n");
    };
    const talking = Object.assign(stream, {
      disconnect() {
        for (const response of open) response.end("last\n");
        throw new Error("a route that fails at its end");
      },
    });
    const endless: ManagementRoute = (_request, response) => void response.writeHead(200).write("first\n");
    const addresses: string[] = [];
    const management = await serveManagement(() => undefined, {
      routes: { "/talk": talking, "/endless": endless },
      onListening: (url) => addresses.push(url),
    });
    t.same(addresses, [management.url]);
    const talk = await fetch(`${management.url}/talk`);
    const isCut = t.rejects((await fetch(`${management.url}/endless`)).text());
    const text = talk.text();
    await management.stop();
    t.equal(await text, "first\nlast\n");
    await isCut;
    const refused = serveManagement(() => undefined, {
      onListening: (url) => {
        addresses.push(url);
        throw new Error("no");
      },
    });
    await t.rejects(refused, { message: "no" });
    await t.rejects(fetch(`${addresses[1]}/livez`), "it does not listen on");
  },
);

t.test("many questions at once on one connection of a management listener are no leak of listeners", async (t) => {
  const warnings: Error[] = [];
  const warn = (warning: Error): unknown => warnings.push(warning);
  process.on("warning", warn);
  t.teardown(() => process.off("warning", warn));
  const open: ServerResponse[] = [];
  const stream: ManagementRoute = (_request, response) => open.push(response);
  const talking = Object.assign(stream, { disconnect() {} });
  const management = await serveManagement(() => undefined, { routes: { "/talk": talking } });
  const socket = connect(management.port, "127.0.0.1");
  socket.write("GET /talk HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(12));
  await until(() => open.length === 12);
  socket.destroy();
  await Promise.all([once(socket, "close"), management.stop()]);
  t.same(warnings, []);
});

t.test("at its end a management listener waits for nothing but answers of routes that say their last", async (t) => {
  const took: number[] = [];
  for (let i = 0; i < 3; i++) {
    const talking: ManagementRoute = Object.assign(() => {}, { disconnect: () => {} });
    const management = await serveManagement(() => undefined, { routes: { "/talk": talking } });
    const silent = connect(management.port, "127.0.0.1");
    await once(silent, "connect");
    await (await fetch(`${management.url}/livez`)).text(); // by now it has both
    const began = performance.now();
    await Promise.all([management.stop(), once(silent, "close")]);
    took.push(performance.now() - began);
  }
  t.ok(Math.min(...took) < 400, took.join(", "));
});
