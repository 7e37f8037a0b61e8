// Removes the old files of an audit log, until somebody kills it.
import { AuditLogManager, fileAudit } from "../../../src/audit/index.ts";

const [path = ""] = process.argv.slice(2);
const retention = { keepMs: 1, everyMs: 2 ** 31 - 1 };
const sink = fileAudit({ path, maxBytes: 1 });
const manager = await new AuditLogManager({ sink, actions: ["act"], events: [], retention }).start();
await manager.trim();
await manager.stop();
