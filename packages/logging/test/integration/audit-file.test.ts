import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import { AuditLogManager, fileAudit, type AuditOptions } from "../../src/audit/index.ts";

const folder = await mkdtemp(join(tmpdir(), "steward-audit-"));
t.teardown(() => rm(folder, { recursive: true }));

const act = (id: string | number) =>
  ({ action: "act", actor: "tester", target: `act:${id}`, outcome: "success" }) as const;

async function open(
  path: string,
  options: Partial<AuditOptions> & { readonly maxBytes?: number } = {},
  clock = new FakeClock(),
) {
  const { maxBytes, ...rest } = options;
  const given = { sink: fileAudit({ path, maxBytes }), actions: ["act"], events: [], ...rest };
  return new AuditLogManager(given, { clock }).start();
}

t.test("entries go on where the process before has ended, also within a line", async (t) => {
  const path = join(folder, "torn/audit.jsonl");
  const first = await open(path);
  await Promise.all(Array.from({ length: 20 }, (_, id) => first.client.record(act(id))));
  await first.stop();
  await appendFile(path, '{"event":"audit","hash":"12');
  const second = await open(path);
  await second.client.record(act("after"));
  t.match(await second.client.verify(), { intact: true, entries: 21, heads: [{ chain: "audit.jsonl", seq: 21 }] });
  await t.rejects(second.client.record(act(1), { in: { query: async () => [], transaction: async () => undefined as never } }), { code: "AUDIT_NOT_IN_TRANSACTION" }); // prettier-ignore
  await second.stop();
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace("act:7", "act:8"));
  const third = await open(path);
  t.match(await third.client.verify(), { intact: false, problems: [{ kind: "changed", seq: 8 }] });
  await third.stop();
  await appendFile(path, "something else\n");
  await t.rejects(open(path), { code: "AUDIT_FILE_INVALID" });
});

t.test("a full file is followed by the next, and old ones go with the retention", async (t) => {
  const path = join(folder, "full/audit.jsonl");
  const clock = new FakeClock();
  const manager = await open(path, { maxBytes: 1_000, retention: { keepMs: 60_000, everyMs: 1_000_000 } }, clock);
  for (let id = 0; id < 12; id++) await manager.client.record(act(id));
  const files = await readdir(join(folder, "full"));
  t.ok(files.length > 2, String(files));
  t.match(await manager.client.verify(), { intact: true, entries: 12, chains: 1 });
  await manager.stop();
  const again = await open(path, { maxBytes: 1_000, retention: { keepMs: 60_000, everyMs: 1_000_000 } }, clock);
  await clock.advance(60_001);
  await again.client.record(act("new"));
  const removed = await again.trim();
  t.ok(removed > 0);
  const report = await again.client.verify();
  t.match(report, { intact: true, entries: 12 + 1 + 1 - removed });
  await again.stop();
});
