import type { Connection } from "./connection.ts";

/** Runs a piece of work on the present connection, within the limits that the manager keeps. */
export type Run = <T>(work: (connection: Connection, signal: AbortSignal) => Promise<T>) => Promise<T>;

/**
 * Objects of one bucket.
 *
 * @example
 * ```ts
 * import { S3Manager } from "@steward/s3";
 * import { s3ForTests } from "@steward/s3/testing";
 * await using remote = await s3ForTests();
 * await using things = await new S3Manager({ ...remote.endpoint, timeoutMs: 1_000 }).start();
 * await things.client.put("hello", Buffer.from("hi"));
 * console.log(await things.client.list()); // => [ 'hello' ]
 * ```
 */
export class S3Client {
  readonly #run: Run;

  /** @internal Its manager makes it. */
  constructor(run: Run) {
    this.#run = run;
  }

  /**
   * Stores an object under a key.
   *
   * @throws {S3_REFUSED} the storage refused it.
   * @throws {OUTCOME_UNKNOWN} the connection broke.
   */
  async put(key: string, bytes: Uint8Array): Promise<void> {
    await this.#run((connection, signal) => connection.send("PUT", encodeURIComponent(key), signal, bytes));
  }

  /**
   * Gives the object of a key.
   *
   * @throws {S3_NOT_FOUND} there is none.
   * @throws {S3_REFUSED} the storage refused it.
   * @throws {OUTCOME_UNKNOWN} the connection broke.
   */
  get(key: string): Promise<Uint8Array> {
    return this.#run((connection, signal) => connection.send("GET", encodeURIComponent(key), signal));
  }

  /**
   * Removes the object of a key.
   *
   * @throws {S3_REFUSED} the storage refused it.
   * @throws {OUTCOME_UNKNOWN} the connection broke.
   */
  async delete(key: string): Promise<void> {
    await this.#run((connection, signal) => connection.send("DELETE", encodeURIComponent(key), signal));
  }

  /**
   * Gives all keys that begin with `prefix`.
   *
   * @throws {S3_REFUSED} the storage refused it.
   * @throws {OUTCOME_UNKNOWN} the connection broke.
   */
  async list(prefix: string = ""): Promise<readonly string[]> {
    const found = await this.#run((connection, signal) =>
      connection.send("GET", `?prefix=${encodeURIComponent(prefix)}`, signal),
    );
    return JSON.parse(found.toString()) as string[]; // the storage says so
  }
}
