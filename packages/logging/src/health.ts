import { StewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";

/** What became of the lines of a log. */
export interface LogFacts {
  /** The least level that is written. */
  readonly level: string;
  /** Lines that the destination took. */
  readonly lines: number;
  /** Lines that were equal to others, and were counted instead of written. */
  readonly collapsed: number;
  /** Lines that the destination refused. */
  readonly lost: number;
}

/** The error of a probe after the destination has refused a line. */
export function writeFailed(resource: string, lost: number, cause: unknown): StewardError {
  const message = `${resource}: the destination refuses lines (${lost} lost): ${describeError(cause)}; is its disk full, or its reader gone?`;
  return new StewardError("LOG_WRITE_FAILED", message, { resource, retryable: true, cause });
}
