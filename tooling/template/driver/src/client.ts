import type { Connection } from "./connection.ts";

/** Runs a piece of work on the present connection, within the limits that the manager keeps. */
export type Run = <T>(work: (connection: Connection, signal: AbortSignal) => Promise<T>) => Promise<T>;

/**
 * What users hold: one object for good, behind which connections come and go. Where there is a driver of its own, this
 * is the driver's client.
 *
 * @example
 * ```ts
 * import { SampleManager } from "@steward/sample";
 * import { sampleForTests } from "@steward/sample/testing";
 * await using remote = await sampleForTests();
 * await using things = await new SampleManager({ ...remote.endpoint, timeoutMs: 1_000 }).start();
 * console.log(await things.client.call("hi")); // => hi
 * ```
 */
export class SampleClient {
  readonly #run: Run;

  /** @internal Its manager makes it. */
  constructor(run: Run) {
    this.#run = run;
  }

  /**
   * Sends a text and gives the answer.
   *
   * @throws {SAMPLE_REFUSED} the remote refused it.
   * @throws {OUTCOME_UNKNOWN} the connection broke.
   */
  call(text: string): Promise<string> {
    return this.#run((connection, signal) => connection.ask(text, signal));
  }
}
