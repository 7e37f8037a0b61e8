import { StewardError, type StewardErrorDetails } from "@steward/core";

/** Every error code of `@steward/logging`, with what it means. */
export const LOGGING_CODES = {
  LOG_WRITE_FAILED: "The destination of the log refused the last line; lines are lost until it takes them again.",
  AUDIT_UNAVAILABLE: "An event that has to be recorded could not be, so what it belongs to has to fail too.",
  AUDIT_LOSING: "More events wait to be recorded than the bound allows, and some of them were lost.",
  AUDIT_NOT_IN_TRANSACTION:
    "An event was to be recorded in a transaction, and what was given is none, or its log is no table.",
  AUDIT_NOT_READABLE: "The entries of this audit log cannot be read back where they were written.",
  AUDIT_FILE_CHANGED: "An audit file was removed, replaced, or written to by another process.",
  AUDIT_FILE_INVALID: "The last line of an audit file is no entry, so none can follow it.",
} as const;

/** A code that `@steward/logging` itself raises. */
export type LoggingCode = keyof typeof LOGGING_CODES;

/** An error of an audit log. */
export function auditError(code: LoggingCode, message: string, details?: StewardErrorDetails): StewardError {
  return new StewardError(code, message, details);
}
