import type { Audit, AuditEvent, SqlRunner } from "@steward/core";
import type { AuditHead } from "./chain/entry.ts";
import type { AuditReport } from "./chain/verify.ts";

/** An event whose action is one of those of the log. */
export interface KnownEvent<Action extends string> extends AuditEvent {
  readonly action: Action;
}

/** How an event is recorded. */
export interface RecordOptions {
  /** An open transaction of yours, as its port: the event lasts if the transaction does, and only then. */
  readonly in?: SqlRunner | undefined;
}

/** An audit log, as code uses it. */
export interface AuditLog<Action extends string = string> extends Audit {
  /**
   * Records what was done. Where events are `required` it resolves when this one is stored, else at once.
   *
   * @throws {OPTIONS_INVALID} when the event is wrong, or its action is none of this log.
   * @throws {AUDIT_UNAVAILABLE} when it could not be stored: what it belongs to has to fail. To callers it is a 503.
   * @throws {AUDIT_NOT_IN_TRANSACTION} when `in` is no open transaction, or the log is no table.
   */
  record(event: KnownEvent<Action>, options?: RecordOptions): Promise<void>;
  /**
   * Reads all entries, and compares them with their hashes, their seals, one another and the ends of the chains. An
   * entry that was changed, removed, moved or put in is named. A tail that was cut off together with the end that the
   * log itself keeps is only missed where `anchors`, kept out of reach of who did it, know more.
   *
   * @throws {AUDIT_NOT_READABLE} when the sink only writes.
   */
  verify(options?: { readonly anchors?: readonly AuditHead[] | undefined }): Promise<AuditReport>;
}
