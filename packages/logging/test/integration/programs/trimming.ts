// Removes the old files of an audit log, and is killed once so many of them are gone.
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { AuditLogManager, fileAudit } from "../../../src/audit/index.ts";

const [path = "", most = ""] = process.argv.slice(2);
const { unlink } = fs;
let left = Number(most);
fs.unlink = async (file) => {
  await unlink(file);
  if (--left === 0) process.kill(process.pid, "SIGKILL");
};
syncBuiltinESMExports();

const retention = { keepMs: 1, everyMs: 2 ** 31 - 1 };
const sink = fileAudit({ path, maxBytes: 1 });
const manager = await new AuditLogManager({ sink, actions: ["act"], events: [], retention }).start();
await manager.trim();
await manager.stop();
