// Does things, each in a transaction with its event, on eight lanes, until somebody kills it.
import { begin, DatabasePoolManager, sqlRunner } from "@steward/database";
import { AuditLogManager, sqlAudit } from "../../../src/audit/index.ts";

const [url = "", run = ""] = process.argv.slice(2);
const pool = await new DatabasePoolManager({ url, maxConnections: 10 }).start();
const db = pool.client;
const sink = sqlAudit({ sql: sqlRunner(db) });
const audit = await new AuditLogManager({ sink, actions: ["act"] }).start();

async function act(id: string, isKept: boolean): Promise<void> {
  await using t = await begin(db);
  await sqlRunner(t).query("insert into acts (id) values ($1)", [id]);
  await audit.client.record({ action: "act", actor: "tester", target: id, outcome: "success" }, { in: sqlRunner(t) });
  if (isKept) await t.commit();
  else await t.rollback();
}

async function lane(name: number): Promise<void> {
  for (let n = 0; ; n++) await act(`${run}-${name}-${n}`, n % 5 !== 4);
}

await Promise.all(Array.from({ length: 8 }, (_, name) => lane(name)));
