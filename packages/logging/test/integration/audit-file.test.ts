import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readdir, readFile, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import {
  AuditLogManager,
  fileAudit,
  verifyEntries,
  type AuditOptions,
  type StoredEntry,
} from "../../src/audit/index.ts";

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

t.test("a process that is killed while it removes old files leaves a log that is intact", async (t) => {
  const within = join(folder, "killed");
  const path = join(within, "audit.jsonl");
  const old = async (): Promise<number> => (await readdir(within)).filter((name) => /\d{16}$/.test(name)).length;
  const written = await open(path, { maxBytes: 1 });
  for (let id = 0; id < 200; id++) await written.client.record(act(id));
  await written.stop();
  const before = await old();
  const program = fileURLToPath(new URL("programs/trimming.js", import.meta.url));
  const child = spawn(
    process.execPath,
    [`--import=${import.meta.resolve("tap/quick-imports")}`, program, path, "100"],
    {
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  t.same(await once(child, "exit"), [null, "SIGKILL"]);
  const again = await open(path, { maxBytes: 1, retention: { keepMs: 1, everyMs: 2 ** 31 - 1 } });
  t.equal(await old(), before + 1 - 100, "the note, without what was removed");
  t.match(await again.client.verify(), { intact: true, problems: [] });
  await again.client.record(act("after"));
  t.match(await again.client.verify(), { intact: true, problems: [] });
  await again.stop();
});

t.test("what says the same in another form is no entry of ours, and odd text is", async (t) => {
  const path = join(folder, "forms/audit.jsonl");
  const first = await open(path);
  for (const id of ["plain", "a\u2028b", "c\rd\u2029e\u0085f", "\ud800", "\u0000"]) await first.client.record(act(id));
  t.match(await first.client.verify(), { intact: true, entries: 5 });
  await first.stop();
  const text = await readFile(path, "utf8");
  const forms: Readonly<Record<string, string>> = {
    "a name twice": text.replace('"actor":"tester"', '"actor":"eve","actor":"tester"'),
    "a space": text.replace('"actor":"tester"', '"actor": "tester"'),
    "an escape": text.replace('"tester"', '"\\u0074ester"'),
    "a field beside it": text.replace('{"event":"audit"', '{"event":"audit","note":"forged"'),
    "an empty line": text.replace("\n", "\n\n"),
    "another end of line": text.replace("\n", "\r\n"),
  };
  for (const [name, changed] of Object.entries(forms)) {
    await writeFile(path, changed);
    const manager = await open(path);
    const { intact, problems } = await manager.client.verify();
    t.equal(intact, name === "another end of line", `${name}: ${problems[0]?.message ?? ""}`);
    if (!intact) t.ok([1, 2].includes(problems[0]?.seq ?? 0), "it is named");
    await manager.stop();
  }
});

t.test("a file that is gone, or that another writes to, is an error, and the chain shows it", async (t) => {
  const path = join(folder, "shared/audit.jsonl");
  const one = await open(path);
  await one.client.record(act(1));
  const other = await open(path);
  await other.client.record(act(2));
  await t.rejects(one.client.record(act(3)), {
    code: "AUDIT_UNAVAILABLE",
    message: /was changed by others; every process needs a file of its own/,
    cause: { code: "AUDIT_FILE_CHANGED" },
  });
  await one.client.record(act(4));
  t.match(await one.client.verify(), { intact: true, entries: 3 }, "nothing is lost, and no link is broken");
  await other.stop();
  await unlink(path);
  await t.rejects(one.client.record(act(5)), { code: "AUDIT_UNAVAILABLE", message: /is gone/ });
  await one.client.record(act(6));
  t.match(await one.client.verify(), { intact: false, problems: [{ kind: "missing", seq: 1 }] }, "1 to 3 are missed");
  await one.stop();
});

t.test("files that fill up and go while the log is verified are nothing wrong with it", async (t) => {
  const sink = fileAudit({ path: join(folder, "moving/audit.jsonl"), maxBytes: 1_000 });
  const clock = new FakeClock();
  const retention = { keepMs: 60_000, everyMs: 1_000_000 };
  const manager = await new AuditLogManager({ sink, actions: ["act"], events: [], retention }, { clock }).start();
  for (let id = 0; id < 12; id++) await manager.client.record(act(id));
  await clock.advance(60_001);
  let removed = 0;
  async function* meanwhile(): AsyncIterable<StoredEntry> {
    for await (const entry of sink.entries?.() ?? []) {
      if (entry.seq === 1) removed = await manager.trim();
      for (let id = 0; entry.seq === 1 && id < 5; id++) await manager.client.record(act(id));
      yield entry;
    }
  }
  t.match(await verifyEntries(meanwhile()), { intact: true, entries: 12 }, "it is what it was when it began");
  t.ok(removed > 0);
  t.match(await manager.client.verify(), { intact: true, entries: 12 + 1 + 5 - removed });
  await manager.stop();
});
