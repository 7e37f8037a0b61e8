import { request as httpRequest } from "node:http";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { bearerCheck } from "@steward/core/driver";
import { container, healthEndpoints, runMain, serveManagement, type HealthReport } from "../src/index.ts";
import { Guard, resource } from "@steward/core";
import { Manager, defineDriver, type ManagerContext } from "@steward/core/driver";
import { FakeClock } from "@steward/core/testing";
import * as v from "valibot";
import { FakeProcess } from "./fake-process.ts";

/** A remote whose calls take 20 ms, and fail while it is down. */
class RemoteManager extends Manager<{ call(): Promise<void> }> {
  readonly #guard = new Guard({ resource: this.name, clock: this.clock });
  readonly #down: () => boolean;
  override readonly client = { call: (): Promise<void> => this.#guard.run(() => this.#answer()) };

  constructor(down: () => boolean, context: ManagerContext) {
    super("remote", context);
    this.#down = down;
  }
  protected override guards(): Iterable<Guard> {
    return [this.#guard];
  }
  protected override async onStart(): Promise<void> {}
  protected override onProbe(): Promise<void> {
    return this.#answer();
  }
  protected override onStop(): void {}
  async #answer(): Promise<void> {
    await this.clock.sleep(20);
    if (this.#down()) throw Object.assign(new Error("connect ECONNREFUSED 10.0.0.7:1"), { code: "ECONNREFUSED" });
  }
}

const remotePool = defineDriver<{ readonly down: () => boolean }, { call(): Promise<void> }>({
  kind: "remote",
  schema: v.strictObject({ down: v.function() }),
  create: ({ down }, context) => new RemoteManager(down, context),
  settings: { readiness: "startup", tags: ["cache"] },
});

const PATHS = [
  "/startupz",
  "/readyz",
  "/health",
  "/health/detailed",
  "/health/resources",
  "/health/resources/db",
  "/health/dependencies",
  "/health/services",
  "/health/cache",
];

async function setUp(health = {}) {
  const clock = new FakeClock();
  const remote = { isDown: false };
  const db = remotePool("db", { down: () => remote.isDown });
  const users = resource("users", { needs: { db }, start: () => 1 });
  const running = await container([users], { clock, version: "1.2.3", health }).start();
  const answer = healthEndpoints(running, { details: true });
  const document = (path: string): unknown => JSON.parse(answer("GET", path)?.body ?? "");
  const statuses = (): Record<string, number | undefined> =>
    Object.fromEntries(PATHS.map((path) => [path, answer("GET", path)?.status]));
  return { clock, remote, db, running, document, statuses };
}

t.test(
  "every document says when it was read, of which version, and for how long the container has been up",
  async (t) => {
    const { clock, running, document } = await setUp();
    await clock.advance(7_300);
    const timestamp = new Date(clock.wallNow()).toISOString();
    for (const path of ["/livez", ...PATHS]) {
      t.match(document(path), { timestamp, version: "1.2.3", uptimeMs: 7_300 }, path);
    }
    await running.stop();
    t.equal((document("/livez") as { status: string }).status, "alive");
  },
);

t.test("a resource says when it was last heard of, how long its calls take, and how many have failed", async (t) => {
  const { clock, remote, db, running } = await setUp();
  const { call } = running.get(db);
  for (const isDown of [false, true, true, false]) {
    remote.isDown = isDown;
    await clock.runUntil(call().catch(() => {}));
  }
  await clock.advance(4_000);
  const { timestamp, resources } = running.health();
  const [first] = resources.filter(({ name }) => name === "db");
  t.match(first, { errorCount: 2, responseTimeMs: 20 });
  const age = Date.parse(timestamp) - Date.parse(first?.lastCheckAt ?? "");
  t.ok(age >= 3_000 && age <= 4_001, `${age} ms before`);
  t.match(
    resources.find(({ name }) => name === "users"),
    { errorCount: undefined, responseTimeMs: undefined, lastCheckAt: undefined },
  );
  await running.stop();
});

t.test("where nothing was called yet, the last probe says how long an answer takes", async (t) => {
  const { clock, running } = await setUp();
  await clock.runUntil(running.probe());
  t.match(
    running.health().resources.find(({ name }) => name === "db"),
    { errorCount: 0, responseTimeMs: 20 },
  );
  await running.stop();
});

t.test("a group answers as its members do", async (t) => {
  const { clock, remote, running, statuses, document } = await setUp({ unhealthyAfter: 1, maxRenewals: 0 });
  t.strictSame(Object.values(statuses()), new Array(9).fill(200));
  t.match(document("/health/dependencies"), { status: "healthy", resources: [{ name: "db" }] });
  remote.isDown = true;
  await clock.advance(20_000);
  t.strictSame(statuses(), {
    "/startupz": 200,
    "/readyz": 200,
    "/health": 503,
    "/health/detailed": 503,
    "/health/resources": 503,
    "/health/resources/db": 503,
    "/health/dependencies": 503,
    "/health/services": 200,
    "/health/cache": 503,
  });
  t.match(document("/health/dependencies"), { status: "unhealthy" });
  t.match(document("/health/services"), { status: "degraded", resources: [{ name: "users", causes: ["db"] }] });
  await running.stop();
  t.strictSame(Object.values(statuses()), [200, ...new Array<number>(8).fill(503)], "and so does a stopped container");
});

t.test("nothing before the start is 200 but /livez, and a part that the app has none of is not there", async (t) => {
  const clock = new FakeClock();
  const answers: (number | undefined)[][] = [];
  const db = resource("db", { tags: ["cache"], start: () => clock.sleep(1_000) });
  const early = resource("early", { tags: ["cache"], start: () => 1 });
  const start = container([db, early], { clock }).start([], {
    onStarting: (starting) => {
      const answer = healthEndpoints(starting, { details: true });
      const look = (): void => void answers.push(PATHS.map((path) => answer("GET", path)?.status));
      look();
      clock.setTimeout(look, 500);
    },
  });
  const running = await clock.runUntil(start);
  const later = healthEndpoints(running, { details: true });
  t.equal(later("GET", "/health/dependencies")?.status, 404);
  t.equal(later("GET", "/health/config")?.status, 404);
  for (const statuses of answers) for (const status of statuses) t.ok(status === 503 || status === 404, String(status));
  t.equal(answers.length, 2);
  const none = healthEndpoints(() => undefined, { details: true });
  for (const path of PATHS) t.equal(none("GET", path)?.status, 503, path);
  t.equal(none("GET", "/livez")?.status, 200);
  await running.stop();
});

t.test("an empty container is neither healthy nor ready", async (t) => {
  const running = await container([]).start();
  const answer = healthEndpoints(running);
  t.equal(running.health().status, "unknown");
  for (const path of ["/readyz", "/health", "/health/resources"]) t.equal(answer("GET", path)?.status, 503, path);
  t.match(answer("GET", "/readyz")?.body, /the container is empty/);
  t.equal(answer("GET", "/livez")?.status, 200);
  await running.stop();
  const request = resource("request", { lifetime: "request", start: () => 1 });
  const other = await container([request]).start();
  t.equal(other.health().status, "healthy", "one that makes something for each request is not empty");
  await other.stop();
});

t.test("a start that waits for a server shows what it waits for, and a failed one why", async (t) => {
  const clock = new FakeClock();
  const remote = { isDown: true };
  const db = resource("db", {
    readiness: "startup",
    start: () => {
      if (remote.isDown) throw Object.assign(new Error("connect ECONNREFUSED 10.0.0.7:1"), { code: "ECONNREFUSED" });
      return 1;
    },
  });
  const config = resource("config", { start: () => 1 });
  const app = container([db, config], { clock });
  let report = (): HealthReport | undefined => undefined;
  const start = app.start([], { onStarting: (starting) => (report = () => starting.health()) }).catch(() => "failed");
  await clock.advance(300);
  t.match(report(), {
    status: "unknown",
    phase: "starting",
    uptimeMs: 0,
    resources: [
      { name: "db", status: "unhealthy", phase: "failed", reason: /^it did not start: connect ECONNREFUSED/ },
      { name: "config", status: "healthy" },
    ],
  });
  t.equal(await clock.runUntil(start), "failed");
  t.match(report(), {
    status: "unhealthy",
    phase: "failed",
    reason: /"db" failed in start after .* \(tried 10 times\)/,
  });
  const failed = { health: () => report() as HealthReport }; // it was read above
  t.notMatch(healthEndpoints(failed)("GET", "/health")?.body, /10\.0\.0\.7/, "why is for operators");
  t.match(healthEndpoints(failed, { details: true })("GET", "/health/detailed")?.body, /10\.0\.0\.7/);
});

t.test("a token is taken whatever the case of its scheme, and nothing that is like it", (t) => {
  const isAllowed = bearerCheck("s3cret");
  for (const given of ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"]) t.ok(isAllowed(given), given);
  for (const given of [undefined, "", "s3cret", "Basic s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cretx"])
    t.notOk(isAllowed(given), String(given));
  for (const given of ["Bearer S3CRET", "Bearers3cret", ["Bearer s3cret"], 1]) t.notOk(isAllowed(given), String(given));
  t.notOk(bearerCheck("")("Bearer "), "an empty token lets no caller in");
  const answer = healthEndpoints(() => undefined, { token: "s3cret" });
  t.equal(answer("GET", "/health/detailed", { authorization: "bearer s3cret" })?.status, 503);
  t.equal(answer("GET", "/health/detailed", { authorization: "bearer s3creT" })?.status, 401);
  t.end();
});

t.test("wrong options are refused, all at once and with the nearest name", async (t) => {
  t.throws(() => healthEndpoints(() => undefined, { prefx: "/x", retryAfterMs: NaN } as object), {
    code: "OPTIONS_INVALID",
    problems: { length: 2 },
    message: /prefix/,
  });
  await t.rejects(
    serveManagement(() => undefined, { port: -1, host: 3 } as object),
    { code: "OPTIONS_INVALID" },
  );
  t.throws(() => runMain(container([]), { shutdownDelayMs: "3s", onHangup: "reload" } as object), {
    code: "OPTIONS_INVALID",
    problems: { length: 2 },
  });
});

/** One request with a `host` header of its own. */
async function askAs(url: string, host: string): Promise<{ status: number | undefined; body: string }> {
  const { hostname, port, pathname } = new URL(url);
  const [response] = await once(httpRequest({ hostname, port, path: pathname, headers: { host } }).end(), "response");
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode, body };
}

t.test("the management listener answers to addresses and names that it knows, and to no other", async (t) => {
  await using running = await container([resource("config", { start: () => 1 })]).start();
  await using management = await serveManagement(running, { hosts: ["Clips.internal"] });
  const url = `${management.url}/health/detailed`;
  const { port } = management;
  for (const host of [
    "localhost",
    `localhost:${port}`,
    "127.0.0.1",
    "10.0.0.7:80",
    "[::1]:9",
    "a.localhost",
    "clips.INTERNAL:1",
    "localhost.",
  ])
    t.equal((await askAs(url, host)).status, 200, host);
  for (const host of [
    "evil.example",
    `evil.example:${port}`,
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "internal",
  ]) {
    const { status, body } = await askAs(url, host);
    t.equal(status, 421, host);
    t.match(JSON.parse(body), { error: `host "${host}" is not served here; add it to the option hosts` });
  }
});

t.test("it takes a prefix, routes with all below them, and survives a route that fails", async (t) => {
  await using running = await container([resource("config", { start: () => 1 })]).start();
  await using management = await serveManagement(running, {
    prefix: "/internal",
    routes: {
      "/debug/": ({ url }, response) => response.end(`debug ${url}`),
      "/debug/heap/": (_request, response) => response.end("heap"),
      "/debug/exact": (_request, response) => response.end("exact"),
      "/broken": () => Promise.reject(new Error("no profile")),
      "/halfway": (_request, response) => {
        response.write("some");
        throw new Error("no more");
      },
    },
  });
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`${management.url}${path}`);
    return response.ok ? response.text() : response.status;
  };
  t.equal(await get("/livez"), 404);
  t.match(await get("/internal/livez"), /alive/);
  t.equal(await get("/debug/a/b?c=1"), "debug /debug/a/b?c=1");
  t.equal(await get("/debug/heap/x"), "heap");
  t.equal(await get("/debug/exact"), "exact");
  t.equal(await get("/debug"), 404);
  t.equal(await get("/broken"), 500);
  await t.rejects(get("/halfway"));
  t.match(await get("/internal/livez"), /alive/);
});

t.test("runMain serves management from before the start until all has stopped", async (t) => {
  const clock = new FakeClock();
  const proc = new FakeProcess();
  const seen: unknown[] = [];
  const ask = async (path: string): Promise<{ status: number; phase: unknown }> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, phase: ((await response.json()) as { phase?: unknown }).phase };
  };
  const probe = await serveManagement(() => undefined); // a free port, for a moment
  const { port } = probe;
  await probe.stop();
  const slow = resource("slow", {
    start: async () => void seen.push(await ask("/health/detailed"), (await ask("/startupz")).status),
    stop: async () => void seen.push(await ask("/health/detailed")),
  });
  const code = runMain(container([slow], { clock }), { clock, process: proc, management: { port } });
  while (seen.length < 2) await sleep(1);
  await clock.settle();
  t.equal((await ask("/health")).status, 200);
  proc.send("SIGINT");
  t.equal(await clock.runUntil(code), 0);
  t.strictSame(seen, [{ status: 503, phase: "starting" }, 503, { status: 503, phase: "stopping" }]);
  await t.rejects(ask("/livez"), "it has stopped");
});

t.test("a management port that is taken is reported before anything starts", async (t) => {
  await using other = await serveManagement(() => undefined);
  const proc = new FakeProcess();
  let started = false;
  const app = container([resource("a", { start: () => (started = true) })]);
  t.equal(await runMain(app, { process: proc, management: { port: other.port } }), 1);
  t.match(proc.written[0], new RegExp(`:${other.port}: the management port belongs to another program; stop that, or`));
  t.notOk(started);
  t.equal(proc.listening, 0);
});
