import { container } from "@steward/container";
import { CHANNELS, resource, StewardError } from "@steward/core";
import { Exposures, publishConfig } from "@steward/core/driver";
import { channel } from "node:diagnostics_channel";
import t from "tap";
import { logger, LoggerManager } from "../src/index.ts";
import { memoryLog } from "../src/testing.ts";

const of = (lines: readonly Readonly<Record<string, unknown>>[], event: string) =>
  lines.filter((line) => line["event"] === event);

t.test("the life of a container is written from its first resource to its last word", async (t) => {
  const destination = memoryLog();
  const log = logger("log", { destination });
  const db = resource("db", { start: () => 1 });
  const running = await container([db, log], { name: "clips" }).start();
  await running.stop();
  const states = of(destination.lines, "state").map((line) => line["msg"]);
  t.ok(states.includes("db: ready") && states.includes("db: stopped"), String(states));
  const shutdown = of(destination.lines, "shutdown").map((line) => line["msg"]);
  t.same(shutdown, ["clips: shutdown draining", "clips: shutdown stopping", "clips: shutdown stopped"]);
  t.equal(destination.lines.at(-1)?.["container"], "clips");
  const names = Object.values(CHANNELS).filter((name) => channel(name).hasSubscribers);
  t.same(names, [], "nothing is heard after that");
});

t.test("a start that fails is written with its error", async (t) => {
  const destination = memoryLog();
  const broken = resource("broken", {
    start: () => Promise.reject(new StewardError("OVERLOADED", "broken: full", { resource: "broken" })),
  });
  const slow = resource("slow", {
    start: (_needs, { signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  });
  await t.rejects(container([logger("log", { destination }), broken, slow]).start());
  const states = of(destination.lines, "state");
  const [line, ...others] = states.filter((found) => found["level"] === 50);
  t.match(line, { resource: "broken", to: "failed", msg: /broken: failed: broken: full/, err: { code: "OVERLOADED" } });
  t.same(others, [], "what was given up for it is no error of its own");
  t.match(
    states.find((found) => found["resource"] === "slow" && found["to"] === "failed"),
    { level: 30, msg: /slow: start given up: broken: full/ },
  );
});

t.test("each kind of event is one line of its weight", async (t) => {
  const destination = memoryLog();
  await using manager = await new LoggerManager({ destination }).start();
  const common = { container: "clips", time: 1, sequence: 1 };
  const events = [
    ["health", { ...common, resource: "db", from: "healthy", to: "unhealthy", reason: "no answer" }],
    ["health", { ...common, resource: "db", from: "healthy", to: "degraded", reason: "slow" }],
    ["health", { ...common, resource: "db", from: "unhealthy", to: "healthy", reason: undefined }],
    ["health", { ...common, resource: "db", from: "unknown", to: "healthy", reason: undefined }],
    ["restart", { ...common, resource: "db", step: "failed", durationMs: 3, error: new Error("no") }],
    ["restart", { ...common, resource: "db", step: "ended", durationMs: 3, error: undefined }],
    ["shutdown", { ...common, phase: "stopped", durationMs: 3, error: new Error("hung") }],
    ["background", { ...common, resource: "db", error: new Error("db: its work ended"), againInMs: 100 }],
    ["background", { ...common, resource: "db", error: new Error("db: its work ended"), againInMs: undefined }],
  ] as const;
  for (const [kind, event] of events) channel(CHANNELS[kind]).publish(event);
  publishConfig({ resource: "settings", kind: "refused", generation: 1, changes: [], message: "settings: refused" });
  new Exposures("db").announce([{ what: "the password to db:5432", how: "plaintext", remedy: "tls: true" }]);
  const shown = destination.lines
    .filter((line) => line["event"] !== "state")
    .map(({ level, msg }) => `${String(level)} ${String(msg)}`);
  t.same(shown, [
    "50 db: unhealthy: no answer",
    "40 db: degraded: slow",
    "30 db: healthy",
    "50 db: restart failed: no",
    "30 db: restart ended",
    "50 clips: shutdown stopped: hung",
    "40 db: its work ended",
    "50 db: its work ended",
    "50 settings: refused",
    "40 db: the password to db:5432 goes in plain text; set tls: true",
  ]);
  t.equal(manager.stats().lines, destination.lines.length);
});

t.test("a circuit that opens is a warning, and only what is listened to is written", async (t) => {
  const destination = memoryLog();
  await using _manager = await new LoggerManager({ destination, listen: ["breaker"] }).start();
  const breaker = { resource: "db", subject: "db", from: "closed", to: "open", reason: "5 failures" };
  channel(CHANNELS.breaker).publish(breaker);
  channel(CHANNELS.state).publish({ resource: "db", from: "idle", to: "starting", error: undefined });
  t.match(destination.lines, [{ level: 40, event: "breaker", msg: "db: circuit open", reason: "5 failures" }]);
  t.equal(destination.lines.length, 1);
});

t.test("a destination that fails never fails what is logged, and is seen by a probe", async (t) => {
  let isFull = true;
  const write = (): void => {
    if (isFull) throw new Error("ENOSPC");
  };
  await using manager = await new LoggerManager({ destination: { write } }, { name: "log" }).start();
  manager.client.info("one");
  t.ok(manager.stats().lost >= 1);
  await t.rejects(manager.probe(), {
    code: "LOG_WRITE_FAILED",
    message: /log: the destination refuses lines .*ENOSPC/,
  });
  isFull = false;
  manager.client.info("two");
  await manager.probe();
});
