import { container } from "@steward/container";
import { httpStatusOf, runWithContext, setActor, type AuditEvent } from "@steward/core";
import { publishAuth, publishConfig, publishKey, publishKeyUse } from "@steward/core/driver";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import { auditLog, AuditLogManager, logAudit, readAuditLine, verifyEntries } from "../../src/audit/index.ts";
import type { AuditEntry, AuditOptions, AuditSink } from "../../src/audit/index.ts";
import { memoryLog } from "../../src/testing.ts";

const ACTIONS = ["video.deleted", "video.added"] as const;
const deleted = (n: number) =>
  ({ action: "video.deleted", actor: "ada", target: `video:${n}`, outcome: "success" }) as const;

function make(options: Partial<AuditOptions> = {}, clock = new FakeClock()) {
  const destination = memoryLog();
  const sink = logAudit({ destination, chain: "test" });
  const manager = new AuditLogManager(
    { sink, actions: ACTIONS, instance: "i-1", ...options },
    { name: "audit", clock },
  );
  const entries = (): AuditEntry[] => destination.lines.map((line) => line["entry"] as AuditEntry); // as lineOf writes it
  return { destination, manager, clock, entries, audit: manager.client };
}

/** A sink that is down until it is not. */
function flaky(destination = memoryLog()): { readonly sink: AuditSink; isDown: boolean } {
  const inner = logAudit({ destination });
  const state = {
    isDown: true,
    sink: {
      kind: "flaky",
      open: () => Promise.resolve(),
      append: (...args: Parameters<AuditSink["append"]>) =>
        state.isDown ? Promise.reject(new Error("connect ECONNREFUSED")) : inner.append(...args),
    },
  };
  return state;
}

t.test("an event is recorded with the work it belongs to, and without secrets", async (t) => {
  const { manager, audit, destination, entries } = make();
  await manager.start();
  const traceContext = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  await runWithContext({ requestId: "r-1", traceContext }, () =>
    audit.record({
      ...deleted(7),
      reason: "asked by redis://:h4nd-m4de@cache",
      ip: "203.0.113.9",
      detail: { password: "h4nd-m4de", title: "t", at: new Date(0) },
    }),
  );
  t.match(entries()[0], {
    ...deleted(7),
    chain: "test",
    seq: 1,
    instance: "i-1",
    requestId: "r-1",
    traceId: "a".repeat(32),
    network: "203.0.113.0/24",
    reason: "asked by redis://***@cache",
    detail: { password: "[secret]", title: "t", at: "1970-01-01T00:00:00.000Z" },
  });
  t.notOk(destination.text.includes("h4nd-m4de"));
  t.notOk(destination.text.includes("203.0.113.9"));
  const lines = destination.text.split("\n").flatMap((line) => readAuditLine(line) ?? []);
  t.match(await verifyEntries(lines), { intact: true, entries: 1 });
  await t.rejects(audit.verify(), { code: "AUDIT_NOT_READABLE" });
  await manager.stop();
  await t.rejects(audit.record(deleted(8)), { code: "RESOURCE_UNAVAILABLE" });
});

t.test("what is no event of this log is refused with all its problems", async (t) => {
  const { manager, audit } = make();
  await manager.start();
  const wrong = { action: "video.delete", actor: "ada", target: "v", outcome: "success" } as unknown as AuditEvent;
  await t.rejects(audit.record(wrong), { code: "OPTIONS_INVALID", message: /did you mean "video.deleted"/ });
  const empty = { action: "video.deleted", actor: "", outcome: "won" } as unknown as ReturnType<typeof deleted>;
  await t.rejects(audit.record(empty), { code: "OPTIONS_INVALID", message: /actor[\s\S]*target|target[\s\S]*actor/ });
  t.throws(() => make({ durability: "maybe" as "required" }), { code: "OPTIONS_INVALID" });
  await manager.stop();
});

t.test("who did it is the principal of the request, where the event does not say", async (t) => {
  const { manager, audit, entries, clock } = make({ events: ["keyUse"], actor: () => "operator" });
  await manager.start();
  const event = { action: "video.deleted", target: "video:1", outcome: "success" } as const;
  await t.rejects(audit.record(event), { code: "OPTIONS_INVALID", message: /actor: is required where no principal/ });
  await runWithContext({ requestId: "r1" }, async () => {
    setActor("ada");
    await audit.record(event);
    await audit.record({ ...event, actor: "bob" });
    publishKeyUse({ resource: "crypto", keyset: "box", operation: "decrypt", keyId: 7, code: undefined });
  });
  await clock.advance(0);
  await manager.stop();
  t.same(
    entries()
      .map(({ actor }) => actor)
      .sort(),
    ["ada", "ada", "bob"],
  );
});

t.test("while the sink is down for 60 s, required events are refused with 503", async (t) => {
  const down = flaky();
  const { manager, audit, clock } = make({ sink: down.sink });
  await manager.start();
  for (let second = 0; second < 60; second += 10) {
    const error: unknown = await audit.record(deleted(second)).catch((reason: unknown) => reason);
    t.match(error, { code: "AUDIT_UNAVAILABLE", message: /"video.deleted" of video:\d+ .*ECONNREFUSED/ });
    t.equal(httpStatusOf(error), 503);
    await clock.advance(10_000);
  }
  down.isDown = false;
  await audit.record(deleted(60));
  t.match(manager.stats(), { recorded: 1, failed: 6, pending: 0, lost: 0 });
  await manager.stop();
});

t.test("a sink that does not answer is given up, and required events fail", async (t) => {
  const sink = { kind: "stuck", open: () => Promise.resolve(), append: () => new Promise<void>(() => {}) };
  const { manager, audit, clock } = make({ sink, timeoutMs: 1_000 });
  await manager.start();
  const refused = t.rejects(audit.record(deleted(1)), { code: "AUDIT_UNAVAILABLE" });
  await clock.advance(1_000);
  await refused;
  await manager.stop();
});

t.test("buffered events outlast 60 s without a sink, up to the bound; beyond it losses are counted", async (t) => {
  const destination = memoryLog();
  const down = flaky(destination);
  const { manager, audit, clock } = make({ sink: down.sink, durability: "buffered", maxPending: 250 });
  await manager.start();
  for (let n = 0; n < 250; n++) await audit.record(deleted(n));
  await clock.advance(60_000);
  await manager.probe();
  t.match(manager.stats(), { recorded: 0, pending: 250, lost: 0 });
  await audit.record(deleted(250));
  await t.rejects(manager.probe(), { code: "AUDIT_LOSING", message: /1 events were lost, and 250 wait.*ECONNREFUSED/ });
  down.isDown = false;
  await clock.advance(5_000);
  t.match(manager.stats(), { recorded: 250, pending: 0, lost: 1 });
  const targets = destination.lines.map((line) => (line["entry"] as AuditEntry).target);
  t.same(
    targets,
    Array.from({ length: 250 }, (_, n) => `video:${n}`),
  );
  await manager.probe();
  const names = Array.from(manager.metrics(), ({ name, value }) => [name, value]);
  t.same(names.slice(-4), [
    ["steward.audit.recorded", 250],
    ["steward.audit.failed", 0],
    ["steward.audit.lost", 1],
    ["steward.audit.pending", 0],
  ]);
  await manager.stop();
});

t.test("stop writes what waits, and counts as lost what cannot be written", async (t) => {
  const destination = memoryLog();
  const clock = new FakeClock();
  const { manager, audit } = make({ sink: logAudit({ destination }), durability: "buffered" }, clock);
  await manager.start();
  for (let n = 0; n < 300; n++) void audit.record(deleted(n));
  await manager.stop();
  t.equal(destination.lines.length, 300);
  const down = make({ sink: flaky().sink, durability: "buffered" }, clock);
  await down.manager.start();
  for (let n = 0; n < 3; n++) void down.audit.record(deleted(n));
  const stopped = down.manager.stop();
  await clock.advance(5_000);
  await stopped.catch(() => {});
  t.match(down.manager.stats(), { recorded: 0, pending: 0, lost: 3 });
});

t.test("what happens to sign-ins, settings and keys is recorded by itself; uses of keys where asked for", async (t) => {
  const { manager, entries, clock } = make({ events: ["auth", "config", "key", "keyUse"], actor: () => "operator" });
  await manager.start();
  publishAuth({
    resource: "users",
    operation: "sign-in",
    subject: "ada",
    outcome: "failure",
    reason: "wrong password",
  });
  publishConfig({ resource: "settings", kind: "changed", generation: 2, changes: ["limits"], message: "changed" });
  publishConfig({ resource: "settings", kind: "warning", generation: 2, changes: [], message: "world-readable" });
  publishKey({ resource: "crypto", keyset: "box", operation: "promoted", keyId: 7, revision: 3, atMs: 0 });
  publishKey({ resource: "crypto", keyset: "box", operation: "loaded", keyId: 7, revision: 3, atMs: 0 });
  publishKeyUse({ resource: "crypto", keyset: "box", operation: "decrypt", keyId: 7, code: "CRYPTO_KEY_DISABLED" });
  await clock.advance(0);
  await manager.stop();
  t.same(
    entries().map(({ action, actor, target, outcome }) => `${actor} ${action} ${target} ${outcome}`),
    [
      "ada auth.sign-in auth:users failure",
      "operator config.changed config:settings success",
      "operator key.promoted keyset:crypto/box success",
      "operator key.decrypt keyset:crypto/box failure",
    ],
  );
  publishKey({ resource: "crypto", keyset: "box", operation: "promoted", keyId: 8, revision: 4, atMs: 0 });
  t.equal(entries().length, 4, "after its stop it hears of nothing");
});

t.test("as a definition it takes what it needs, and its actions are types", async (t) => {
  const destination = memoryLog();
  const audit = auditLog("audit", { sink: logAudit({ destination }), actions: ["video.deleted"] });
  await using running = await container([audit]).start();
  await running.get(audit).record(deleted(1));
  // @ts-expect-error: "video.added" is none of its actions
  await t.rejects(running.get(audit).record({ ...deleted(1), action: "video.added" }), { code: "OPTIONS_INVALID" });
  t.equal(destination.lines.length, 1);
});
