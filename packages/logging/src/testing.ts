import type { LogDestination } from "./options.ts";

/** A destination that keeps what was written. */
export interface MemoryLog extends LogDestination {
  /** All lines so far, read as JSON. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** All lines so far, as they were written. */
  readonly text: string;
}

/**
 * A destination for tests, which keeps lines in memory.
 *
 * @example
 * ```ts
 * import { LoggerManager } from "@steward/logging";
 * import { memoryLog } from "@steward/logging/testing";
 * const destination = memoryLog();
 * new LoggerManager({ destination }).client.warn({ left: 3 }, "nearly full");
 * console.log(destination.lines[0]?.["left"]); // => 3
 * ```
 */
export function memoryLog(): MemoryLog {
  const written: string[] = [];
  return {
    write: (line) => void written.push(line),
    get lines() {
      return written.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>); // pino writes objects
    },
    get text() {
      return written.join("");
    },
  };
}
