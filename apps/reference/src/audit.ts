import { sqlRunner } from "@steward/database";
import { auditLog, sqlAudit } from "@steward/logging/audit";
import { db } from "./resources.ts";

/** Who changed keys, which is recorded by itself, and who read a secret: rows of the database that show when one is missing. */
export const audit = auditLog("audit", {
  needs: { db },
  options: ({ db }) => ({ sink: sqlAudit({ sql: sqlRunner(db), table: "clips_audit" }), actions: ["secret.read"] }),
});
