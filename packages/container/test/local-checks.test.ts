import { tmpdir } from "node:os";
import { container, healthEndpoints } from "../src/index.ts";
import { diskSpace, eventLoop, memoryUse } from "@steward/core/checks";
import { FakeClock } from "@steward/core/testing";
import t from "tap";

t.test(
  "a disk without room is degraded at once, and takes its instance out of traffic when probes agree",
  async (t) => {
    const clock = new FakeClock();
    const disk = diskSpace("disk", { path: tmpdir(), minFreeBytes: Number.MAX_SAFE_INTEGER });
    const running = await container([disk], { clock }).start();
    const paths = healthEndpoints(running, { details: true });
    t.match(running.health(), {
      status: "degraded",
      resources: [{ name: "disk", driver: "disk", readiness: "gate", reason: / free on .* \(at least 9 PB\)/ }],
    });
    t.equal(paths("GET", "/readyz")?.status, 200);
    for (let i = 0; i < 3; i++) await running.probe();
    t.match(running.health(), { status: "unhealthy", resources: [{ reason: /3 probes in a row failed: disk: / }] });
    t.equal(paths("GET", "/readyz")?.status, 503);
    t.equal(paths("GET", "/health")?.status, 503);
    t.match(paths("GET", "/health/resources/disk")?.body, /"freeBytes":\d+/);
    await running.stop();
    t.equal(clock.pending, 0);
  },
);

t.test("checks within their limits are healthy, and are probed by the timer of all resources", async (t) => {
  const clock = new FakeClock();
  const checks = [
    diskSpace("disk", { path: tmpdir(), minFreeShare: 0, minFreeInodes: 0 }),
    memoryUse("memory", { maxShare: 1, maxHeapShare: 1 }),
    eventLoop("loop", { maxDelayMs: 60_000 }),
  ] as const;
  const running = await container([...checks], { clock }).start();
  const before = running.get(checks[1]).latest;
  t.equal(running.health().status, "healthy");
  await clock.advance(15_000);
  t.not(running.get(checks[1]).latest, before);
  const series = new Set([...running.metrics()].map(({ name }) => name));
  for (const name of ["system.filesystem.usage", "process.memory.usage", "nodejs.eventloop.delay.p99"])
    t.ok(series.has(name), name);
  await running.stop();
  t.equal(clock.pending, 0);
});
