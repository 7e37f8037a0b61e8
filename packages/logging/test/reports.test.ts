import { container } from "@steward/container";
import { CHANNELS, resource, runWithContext, StewardError, type ErrorReport } from "@steward/core";
import { publishUnhandled } from "@steward/core/driver";
import { FakeClock } from "@steward/core/testing";
import { until } from "@steward/testing";
import { channel } from "node:diagnostics_channel";
import t from "tap";
import { errorReporter, ErrorReporterManager, type ReporterOptions } from "../src/index.ts";

async function make(options: Partial<ReporterOptions> = {}) {
  const reports: ErrorReport[] = [];
  const reporter = { report: (report: ErrorReport) => void reports.push(report) };
  const clock = new FakeClock();
  const manager = await new ErrorReporterManager({ reporter, ...options }, { clock }).start();
  return { reports, clock, manager };
}

t.test("an error that nobody handled is reported once, without secrets, and then with its number", async (t) => {
  const { reports, clock, manager } = await make();
  const fail = (n: number): void => {
    const error = Object.assign(new Error(`no answer from amqp://guest:pl4nted@mq (${n})`), { config: "pl4nted" });
    runWithContext({ requestId: `r-${n}` }, () => publishUnhandled("request", error));
  };
  for (let n = 0; n < 100; n++) fail(n);
  publishUnhandled("rpc", new StewardError("OVERLOADED", "db: full"), { name: "/clips.v1/Render" });
  await clock.advance(0);
  t.match(reports, [
    { source: "request", type: "Error", message: "no answer from amqp://***@mq (0)", requestId: "r-0", count: 1 },
    { source: "rpc", name: "/clips.v1/Render", code: "OVERLOADED", count: 1 },
  ]);
  t.match(reports[0]?.stack, /reports\.test/);
  await clock.advance(60_000);
  t.match(reports.slice(2), [{ message: /amqp/, requestId: undefined, count: 99 }]);
  t.notOk(JSON.stringify(reports).includes("pl4nted"));
  fail(100);
  await manager.stop();
  t.equal(reports.length, 4, "a new interval reports it again");
  fail(101);
  t.equal(reports.length, 4);
  t.notOk(channel(CHANNELS.unhandled).hasSubscribers);
});

t.test("a reporter that fails or hangs changes nothing, is counted and bounded", async (t) => {
  const broken = await make({ reporter: { report: () => Promise.reject(new Error("no")) } });
  publishUnhandled("task", "a string that was thrown", { name: "mail" });
  await broken.clock.advance(0);
  t.match(broken.manager.stats(), { failed: 1, reported: 0, pending: 0 });
  await broken.manager.stop();
  const stuck = await make({ reporter: { report: () => new Promise<void>(() => {}) }, maxPending: 3 });
  for (let n = 0; n < 10; n++) publishUnhandled("task", new Error("x"), { name: `task ${n}` });
  t.match(stuck.manager.stats(), { pending: 3, lost: 7 });
  const names = Array.from(stuck.manager.metrics(), ({ name }) => name);
  t.same(names, [
    "steward.errors.reported",
    "steward.errors.collapsed",
    "steward.errors.lost",
    "steward.errors.failed",
  ]);
  await stuck.manager.stop();
});

t.test("background work that ends with an error is reported too", async (t) => {
  const reports: ErrorReport[] = [];
  const errors = errorReporter("errors", { reporter: { report: (report) => void reports.push(report) } });
  const worker = resource("worker", { start: () => 1, run: () => Promise.reject(new Error("its queue is gone")) });
  await using _running = await container([errors, worker]).start();
  await until(() => reports.length > 0, "it was reported");
  t.match(reports[0], { source: "background", name: "worker", message: "its queue is gone" });
});
