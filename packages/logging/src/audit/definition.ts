import type { Definition } from "@steward/core";
import { defineDriver, type DerivedOptions, type ManagedSettings } from "@steward/core/driver";
import type { Needs, OpenOfAll } from "@steward/core/container";
import type { AuditLog } from "./log.ts";
import { AuditLogManager } from "./manager.ts";
import { auditSchema, type AuditOptions } from "./options.ts";

/** Defines an audit log; the actions in its options are those that compile. */
export interface AuditFactory {
  <const Action extends string, const N extends Needs>(
    name: string,
    given: DerivedOptions<AuditOptions<Action>, N, undefined>,
  ): Definition<AuditLog<Action>, "application", OpenOfAll<N>>;
  <const Action extends string>(
    name: string,
    given: AuditOptions<Action> & ManagedSettings<undefined>,
  ): Definition<AuditLog<Action>, "application">;
}

/**
 * Defines the audit log of an application.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { container } from "@steward/container";
 * import { auditLog, logAudit } from "@steward/logging/audit";
 * import { memoryLog } from "@steward/logging/testing";
 * const destination = memoryLog();
 * const audit = auditLog("audit", { sink: logAudit({ destination }), actions: ["video.deleted"] });
 * await using running = await container([audit]).start();
 * await running.get(audit).record({ action: "video.deleted", actor: "ada", target: "video:7", outcome: "success" });
 * console.log(destination.lines.length); // => 1
 * ```
 */
export const auditLog: AuditFactory = defineDriver<AuditOptions, AuditLog>({
  kind: "audit",
  schema: auditSchema,
  settings: { tags: ["security"] },
  create: (options, context) => new AuditLogManager(options, context),
}) as AuditFactory; // the driver forgets the actions of one log
