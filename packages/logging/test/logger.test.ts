import { runWithContext, StewardError } from "@steward/core";
import { publishConfig } from "@steward/core/driver";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import { LoggerManager, type LoggerOptions } from "../src/index.ts";
import { memoryLog } from "../src/testing.ts";

function make(options: LoggerOptions = {}) {
  const destination = memoryLog();
  const clock = new FakeClock();
  const manager = new LoggerManager({ destination, listen: [], ...options }, { name: "log", clock });
  return { destination, clock, manager, log: manager.client };
}

t.test("a line carries the request and the trace it belongs to", (t) => {
  const { destination, log } = make();
  const traceContext = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  runWithContext({ requestId: "r-1", traceContext }, () => log.info("inside"));
  log.info("outside");
  const [inside, outside] = destination.lines;
  t.match(inside, { requestId: "r-1", traceId: "a".repeat(32), spanId: "b".repeat(16), msg: "inside" });
  t.notOk("requestId" in (outside ?? {}));
  runWithContext({ requestId: "r-1" }, () => log.child({ requestId: "r-1" }).info("of its request"));
  t.equal(destination.text.split('"requestId"').length, 3, "no line names it twice");
  t.end();
});

t.test("the level changes at once, for children made before too, but not for one with a level of its own", (t) => {
  const { destination, manager, log } = make();
  const child = log.child({ part: "importer" });
  const quiet = log.child({ part: "quiet" }, { level: "error" });
  child.debug("unheard");
  manager.setLevel("debug");
  for (const one of [log, child, quiet]) one.debug("heard");
  t.same(
    destination.lines.map((line) => line["part"]),
    [undefined, "importer"],
  );
  t.equal(manager.stats().level, "debug");
  t.throws(() => manager.setLevel("loud" as "info"), { code: "OPTIONS_INVALID", message: /log\.level/ });
  t.end();
});

t.test("a storm of equal errors is ten lines, and one with a count for each interval", async (t) => {
  const { destination, clock, manager, log } = make();
  const storm = (count: number): void => {
    for (let i = 0; i < count; i++)
      runWithContext({ requestId: `r-${i}` }, () =>
        log.error(new StewardError("OVERLOADED", "db: queue is full", { resource: "db" })),
      );
  };
  storm(1_000);
  t.equal(destination.lines.length, 10);
  await clock.advance(10_000);
  t.equal(destination.lines.length, 11);
  t.match(destination.lines[10], { level: 50, repeated: 990, msg: "db: queue is full", err: { code: "OVERLOADED" } });
  t.notOk("requestId" in (destination.lines[10] ?? {}), "what counts many requests names none");
  storm(5);
  await clock.advance(10_000);
  t.match(destination.lines.slice(11), [{ repeated: 5 }]);
  t.equal(manager.stats().collapsed, 995);
  await clock.advance(10_000);
  storm(1);
  t.equal(destination.lines.length, 13, "after a quiet interval it is written again");
});

t.test("lines that differ in anything, and lines that are no warnings, are all written", (t) => {
  const { destination, log } = make({ storms: { above: 1 } });
  for (let i = 0; i < 20; i++) log.warn({ attempt: i }, "again");
  for (let i = 0; i < 20; i++) log.info("served");
  log.child({ part: "a" }).warn("equal");
  log.child({ part: "b" }).warn("equal");
  t.equal(destination.lines.length, 42);
  t.end();
});

t.test("stop writes the count of a storm that is not over", async (t) => {
  const { destination, manager, log } = make({ storms: { above: 2, withinMs: 60_000 } });
  await manager.start();
  for (let i = 0; i < 7; i++) log.warn("slow");
  await manager.stop();
  t.match(destination.lines.at(-1), { repeated: 5, msg: "slow" });
  log.info("after it");
  t.match(destination.lines.at(-1), { msg: "after it" }, "a log writes after its stop too");
});

t.test("storms can be left as they are", (t) => {
  const { destination, log } = make({ storms: false });
  for (let i = 0; i < 30; i++) log.error("equal");
  t.equal(destination.lines.length, 30);
  t.end();
});

t.test("fields of every line, and wrong options", (t) => {
  const { destination, log } = make({ fields: { service: "clips" } });
  log.info("hello");
  t.match(destination.lines, [{ service: "clips", msg: "hello", level: 30 }]);
  const wrong = { levle: "info" } as unknown as LoggerOptions;
  t.throws(() => make(wrong), { code: "OPTIONS_INVALID", message: /did you mean "level"/ });
  t.end();
});

t.test("a destination may keep a state of its own", (t) => {
  const destination = { taken: 0, write: () => void (destination.taken += 1) };
  const { manager, log } = make({ destination });
  log.info("one");
  t.equal(destination.taken, 1);
  t.equal(manager.stats().lost, 0);
  t.end();
});

t.test("a level that settings say follows them, and one that is set for a while goes back", async (t) => {
  const settings = { logLevel: "info" as "info" | "warn" };
  const { manager, clock } = make({ level: () => settings.logLevel });
  await manager.start();
  settings.logLevel = "warn";
  t.equal(manager.client.level, "info");
  publishConfig({ resource: "settings", kind: "changed", generation: 2, changes: ["logLevel"], message: "changed" });
  t.equal(manager.client.level, "warn");
  manager.setLevel("debug", { forMs: 3_600_000 });
  t.equal(manager.client.level, "debug");
  await clock.advance(3_600_000);
  t.equal(manager.client.level, "warn");
  await manager.stop();
});

t.test("lines that are held back are written after a while, when there are many, and by a stop", async (t) => {
  const { destination, manager, clock, log } = make({ buffered: { flushMs: 100, maxBytes: 1_000 } });
  log.info("before the start it writes at once");
  t.equal(destination.text.split("\n").length, 2);
  await manager.start();
  log.info("held");
  t.notMatch(destination.text, "held");
  await clock.advance(100);
  t.match(destination.text, "held");
  log.info("x".repeat(1_000));
  t.match(destination.text, "xxx");
  log.info("last");
  await manager.stop();
  t.match(destination.text, "last");
  const series = Array.from(manager.metrics(), ({ name, value }) => [name, value]);
  t.same(series, [
    ["steward.log.lines", 4],
    ["steward.log.lost", 0],
    ["steward.log.collapsed", 0],
  ]);
});
