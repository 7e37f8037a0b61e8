import t from "tap";
import { resource } from "@steward/core";
import { FakeClock } from "@steward/testing";
import { announceShutdown, container, healthEndpoints, monitorHealth, type HealthReport, type ResourceHealth } from "../src/index.ts";

/** A running thing with the given resources. */
function seen(resources: readonly Partial<ResourceHealth>[], report: Partial<HealthReport> = {}): { health(): HealthReport } {
  const full = resources.map((given): ResourceHealth => ({ name: "r", status: "healthy", phase: "ready", criticality: "critical", readiness: "gate", tags: [], probeMs: undefined, reason: undefined, ...given }));
  return { health: () => ({ status: "healthy", phase: "ready", ...report, resources: full }) };
}

const statuses = (answer: ReturnType<typeof healthEndpoints>) =>
  Object.fromEntries(["/livez", "/startupz", "/readyz", "/health"].map((path) => [path, answer("GET", path)?.status]));

t.test("a process that is starting is alive, and nothing else yet", async (t) => {
  t.strictSame(statuses(healthEndpoints(() => undefined)), { "/livez": 200, "/startupz": 503, "/readyz": 503, "/health": 503 });
  t.strictSame(statuses(healthEndpoints(seen([], { phase: "starting", status: "unknown" }))), { "/livez": 200, "/startupz": 503, "/readyz": 503, "/health": 503 });
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
  t.strictSame(JSON.parse(gone?.body ?? ""), { status: "not ready", waitingFor: ["disk"] });
});

t.test("readiness of a resource is what it says, gate by default, ignore for what may be down", async (t) => {
  const plain = resource("plain", { start: () => 1 });
  const shared = resource("shared", { start: () => 1, readiness: "startup" });
  const extra = resource("extra", { start: () => Promise.reject(new Error("down")), criticality: "optional" });
  const wanted = resource("wanted", { start: () => Promise.reject(new Error("down")), criticality: "optional", readiness: "gate" });
  await using running = await container([plain, shared, extra, wanted]).start();
  t.strictSame(Object.fromEntries(running.health().resources.map(({ name, readiness }) => [name, readiness])), { plain: "gate", shared: "startup", extra: "ignore", wanted: "gate" });
  t.match(healthEndpoints(running)("GET", "/readyz")?.body, /"waitingFor":\["wanted"\]/);
});

t.test("health is 503 when a critical resource is unhealthy, and counts the resources", async (t) => {
  let broken = false;
  const db = resource("db", { readiness: "startup", start: () => "db", probe: () => (broken ? Promise.reject(new Error("no route to 10.0.0.7")) : undefined) });
  const cache = resource("cache", { criticality: "optional", start: () => Promise.reject(new Error("down")) });
  await using running = await container([db, cache]).start();
  const answer = healthEndpoints(running);
  t.equal(answer("GET", "/health")?.status, 200);
  t.strictSame(JSON.parse(answer("GET", "/health")?.body ?? ""), { status: "degraded", phase: "ready", resources: { healthy: 1, degraded: 0, unhealthy: 1, unknown: 0 } });
  broken = true;
  await running.probe();
  t.equal(answer("GET", "/health")?.status, 503);
  t.equal(answer("GET", "/readyz")?.status, 200, "a blip of a shared resource empties no load balancer");
  t.equal(answer("GET", "/health/resources/db")?.status, 503);
});

t.test("resources are told one by one; why they are not well only where details are asked for", async (t) => {
  const running = seen([{ name: "db main", status: "unhealthy", reason: "no route to 10.0.0.7" }]);
  const brief = healthEndpoints(running);
  t.notMatch(brief("GET", "/health/resources")?.body, /10\.0\.0\.7/);
  t.match(JSON.parse(brief("GET", "/health/resources/db%20main")?.body ?? ""), { name: "db main", status: "unhealthy" });
  const full = healthEndpoints(running, { details: true });
  t.match(JSON.parse(full("GET", "/health/resources")?.body ?? ""), { resources: [{ name: "db main", reason: "no route to 10.0.0.7" }] });
  t.equal(brief("GET", "/health/resources/nothing")?.status, 404);
  t.equal(brief("GET", "/health/resources/%zz")?.status, 404);
});

t.test("answers are not cached, say when to come back, and have no body for HEAD", async (t) => {
  const answer = healthEndpoints(() => undefined, { retryAfterMs: 2_500 });
  const got = answer("GET", "/readyz");
  t.match(got?.headers, { "cache-control": "no-store", "retry-after": "3", "content-type": "application/json; charset=utf-8" });
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
  for (const path of ["/readyz", "/internal/readyz2", "/internal/healthy", "/internal", "/"]) t.equal(answer("GET", path), undefined, path);
});

t.test("a monitor probes all resources about every 10 s, the slow ones once at a time", async (t) => {
  const clock = new FakeClock();
  const at: number[] = [];
  let open = 0;
  let most = 0;
  const slow = resource("slow", {
    start: () => 1,
    probe: async (_value, { signal }) => {
      at.push(clock.now());
      most = Math.max(most, ++open);
      await clock.sleep(5_000, signal).catch(() => {});
      open--;
    },
  });
  const running = await container([slow], { clock }).start();
  const monitor = monitorHealth(running, { clock });
  await clock.advance(60_000);
  t.ok(at.length >= 4 && at.length <= 6, `${at.length} probes in a minute`);
  for (const [i, time] of at.entries()) {
    const gap = time - (at[i - 1] ?? 0);
    t.ok(gap >= 9_000 && gap <= 12_001, `a gap of ${Math.round(gap)} ms`);
  }
  t.equal(most, 1);
  t.equal(running.health().resources[0]?.status, "unhealthy");
  t.equal(clock.holding, 0, "its timer keeps no process alive");
  await monitor.stop();
  await clock.advance(60_000);
  t.equal(clock.pending, 0);
  await clock.runUntil(running.stop());
});
