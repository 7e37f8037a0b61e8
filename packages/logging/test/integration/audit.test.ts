import { spawn } from "node:child_process";
import { createHmac, randomInt } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { FakeClock } from "@steward/core/testing";
import { begin, DatabasePoolManager, sqlRunner, type Database } from "@steward/database";
import { rounds, until } from "@steward/testing";
import { postgresForTests } from "@steward/launchers";
import t from "tap";
import { AuditLogManager, sqlAudit, type AuditOptions, type AuditSeal } from "../../src/audit/index.ts";

const server = await postgresForTests();
const pool = await new DatabasePoolManager({ url: server.url, maxConnections: 24 }).start();
const db: Database = pool.client;
const sql = sqlRunner(db);
t.teardown(async () => {
  await pool.stop();
  await server[Symbol.asyncDispose]();
});

const tag = (message: string): Buffer => createHmac("sha256", "key of the test").update(message).digest();
const seal: AuditSeal = {
  sign: async (message) => tag(message),
  isValid: async (message, given) => tag(message).equals(Buffer.from(given)),
};

/** Fewer where a suite runs again on another Node. */
const ACTIONS = rounds(1_000);

let tables = 0;
async function make(options: Partial<AuditOptions> = {}, clock = new FakeClock()) {
  const table = `audit_${process.pid}_${(tables += 1)}`;
  const sink = sqlAudit({ sql, table });
  const manager = new AuditLogManager({ sink, actions: ["act"], seal, events: [], ...options }, { clock });
  await manager.start();
  return { table, manager, clock, audit: manager.client };
}

const act = (id: string | number) =>
  ({ action: "act", actor: "tester", target: `act:${id}`, outcome: "success" }) as const;

t.test("an event in a transaction lasts if the transaction does, and only then", async (t) => {
  const { table, manager, audit } = await make();
  const within = async (id: number, isKept: boolean): Promise<void> => {
    await using tx = await begin(db);
    await audit.record(act(id), { in: sqlRunner(tx) });
    await audit.record(act(`${id}b`), { in: sqlRunner(tx) });
    if (isKept) await tx.commit();
    else await tx.rollback();
  };
  await Promise.all(Array.from({ length: 60 }, (_, id) => within(id, id % 3 !== 0)));
  const rows = await sql.query<{ target: string }>(`select target from ${table}`);
  t.equal(rows.length, 80);
  t.notOk(rows.some(({ target }) => Number.parseInt(target.slice(4), 10) % 3 === 0));
  const report = await audit.verify();
  t.match(report, { intact: true, entries: 80, problems: [] });
  t.ok(report.chains > 1, "writers beside one another have a chain each");
  await audit.record(act("alone"));
  t.equal((await audit.verify()).entries, 81);
  await manager.stop();
});

t.test("text that Postgres does not take is recorded all the same, and keeps nothing else from being", async (t) => {
  const { manager, audit, table } = await make({ durability: "buffered" });
  const odd = { action: "act", actor: "e\0ve", target: "\ud800", outcome: "denied", detail: { "\0": "\0" } } as const;
  await audit.record(odd);
  await audit.record(act("after"));
  await until(() => manager.stats()["pending"] === 0);
  const rows = await sql.query<{ actor: string }>(`select actor from ${table} order by seq`);
  t.same(
    rows.map(({ actor }) => actor),
    ["e\ufffdve", "tester"],
  );
  t.match(await audit.verify(), { intact: true, entries: 2 });
  await manager.stop();
});

t.test("what is no open transaction is refused, and nothing is recorded", async (t) => {
  const { manager, audit } = await make();
  await t.rejects(audit.record(act(1), { in: sql }), {
    code: "AUDIT_NOT_IN_TRANSACTION",
    message: /sqlRunner\(t\), not sqlRunner\(db\)/,
  });
  t.match(await audit.verify(), { intact: true, entries: 0 });
  t.throws(() => sqlAudit({ sql, table: "a; drop table b" }), { code: "OPTIONS_INVALID" });
  await manager.stop();
});

t.test(`of ${ACTIONS} actions with SIGKILL at random, each has its event, and each event its action`, async (t) => {
  await sql.query("create table acts (id text primary key)");
  const program = fileURLToPath(new URL("programs/acting.js", import.meta.url));
  const count = async (): Promise<number> =>
    Number((await sql.query<{ n: string }>("select count(*)::text as n from acts"))[0]?.n);
  const quickImports = `--import=${import.meta.resolve("tap/quick-imports")}`;
  let kills = 0;
  for (let done = 0; done < ACTIONS || kills < 4; kills++) {
    const before = done;
    const child = spawn(process.execPath, [quickImports, program, server.url, String(kills)], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const ended = once(child, "exit");
    const enough = before + randomInt(0.15 * ACTIONS, 0.35 * ACTIONS);
    await until(async () => (await count()) >= enough, "it has worked for a while", 60_000);
    child.kill("SIGKILL");
    await ended;
    done = await count();
  }
  const acts = await sql.query<{ id: string }>("select id from acts order by id");
  const events = await sql.query<{ id: string }>("select target as id from steward_audit order by target");
  t.comment(`${acts.length} actions, ${kills} kills`);
  t.ok(acts.length >= ACTIONS);
  t.strictSame(events, acts);
  const manager = await new AuditLogManager({ sink: sqlAudit({ sql }), actions: ["act"] }).start();
  const report = await manager.client.verify();
  t.match(report, { intact: true, entries: acts.length });
  await manager.stop();
});

/** Each is what somebody with all rights on the tables, but without the key, could do to one entry. */
const TAMPERINGS: Readonly<Record<string, (table: string, seq: number) => Promise<unknown>>> = {
  change: (table, seq) =>
    sql.query(`update ${table} set entry = replace(entry, 'tester', 'nobody') where seq = ${seq}`),
  delete: (table, seq) => sql.query(`delete from ${table} where seq = ${seq}`),
  swap: (table, seq) =>
    sql.query(`update ${table} a set (entry, hash, seal) = (select b.entry, b.hash, b.seal from ${table} b
      where b.seq = case a.seq when ${seq} then ${seq + 1} else ${seq} end) where a.seq in (${seq}, ${seq + 1})`),
  insert: async (table, seq) => {
    await sql.query(`update ${table} set seq = seq + 1000 where seq >= ${seq}`);
    await sql.query(`insert into ${table} (chain, seq, entry, hash, seal)
      select chain, ${seq}, entry, hash, seal from ${table} where seq = ${seq - 1}`);
    await sql.query(`update ${table} set seq = seq - 999 where seq > 1000`);
  },
  truncate: (table, seq) => sql.query(`delete from ${table} where seq >= ${seq}`),
};

t.test("100 of 100 random tamperings with the table are found, and the row is named", async (t) => {
  const { table, manager, audit } = await make();
  for (let id = 0; id < 30; id++) await audit.record(act(id));
  t.match(await audit.verify(), { intact: true, entries: 30, chains: 1 });
  await sql.query(`create table ${table}_kept as select chain, seq, entry, hash, seal from ${table}`);
  let found = 0;
  for (const [kind, tamper] of Object.entries(TAMPERINGS))
    for (let i = 0; i < 20; i++) {
      const seq = randomInt(2, 30);
      await tamper(table, seq);
      const { problems } = await audit.verify();
      if (problems.some((problem) => Math.abs(problem.seq - seq) <= 1)) found += 1;
      else t.fail(`${kind} at ${seq}: ${JSON.stringify(problems)}`);
      await sql.query(`truncate ${table}`);
      await sql.query(`insert into ${table} (chain, seq, entry, hash, seal) select * from ${table}_kept`);
    }
  t.equal(found, 100);
  t.match(await audit.verify(), { intact: true }, "as it was before");
  await manager.stop();
});

t.test("what is recorded while the log is verified is nothing wrong with it", async (t) => {
  const { manager, audit } = await make();
  const writing = { isOver: false };
  const write = async (): Promise<void> => {
    for (let n = 0; !writing.isOver; n++) await audit.record(act(n));
  };
  const writers = [write(), write(), write()];
  for (let round = 0; round < 10; round++) t.match(await audit.verify(), { intact: true, problems: [] });
  writing.isOver = true;
  await Promise.all(writers);
  t.match(await audit.verify(), { intact: true });
  await manager.stop();
});

t.test("a tail that is cut off with the end that the log keeps is found by an anchor alone", async (t) => {
  const kept: { chain: string; seq: number; hash: string }[] = [];
  const { table, manager, clock, audit } = await make({
    anchors: { keep: (heads) => void kept.splice(0, kept.length, ...heads), everyMs: 60_000 },
  });
  for (let id = 0; id < 10; id++) await audit.record(act(id));
  await clock.advance(60_000);
  await manager.anchor();
  t.match(kept, [{ seq: 10 }]);
  await sql.query(`delete from ${table} where seq > 7`);
  await sql.query(`update ${table}_chains set seq = 7, hash = (select hash from ${table} where seq = 7)`);
  t.match(await audit.verify(), { intact: true }, "the log itself cannot know");
  t.match(await audit.verify({ anchors: kept }), { problems: [{ kind: "cut", seq: 8 }] });
  await manager.stop();
});

t.test("what is older than the retention goes, the log says so, and what is left is intact", async (t) => {
  const { table, manager, clock, audit } = await make({ retention: { keepMs: 86_400_000, everyMs: 2 ** 31 - 1 } });
  for (let id = 0; id < 5; id++) await audit.record(act(id));
  await clock.advance(86_400_000 + 1);
  for (let id = 5; id < 8; id++) await audit.record(act(id));
  t.equal(await manager.trim(), 5);
  const rows = await sql.query<{ target: string }>(`select target from ${table} order by seq`);
  t.same(
    rows.map(({ target }) => target),
    ["act:5", "act:6", "act:7", "chain:1"],
  );
  t.match(await audit.verify(), { intact: true, entries: 4 });
  t.equal(await manager.trim(), 0);
  await clock.advance(2 * 86_400_000);
  t.equal(await manager.trim(), 4, "all that is old, the note about the last time too");
  await audit.record(act("new"));
  t.match(await audit.verify(), { intact: true, entries: 2 });
  await sql.query(`delete from ${table} where seq = (select min(seq) from ${table})`);
  t.match(await audit.verify(), { problems: [{ kind: "missing", seq: 1 }] }, "nobody else can take what is old");
  await manager.stop();
});
