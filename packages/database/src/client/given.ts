import { StewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";
import type { ReservedSql, Sql } from "postgres";
import type { Line, Revocable, Runner, Taker } from "../connections/line.ts";
import { rawQuery, type DriverQuery, type Handler } from "../connections/driver.ts";
import type { Supply } from "./client.ts";

/** The connections of a client that was handed over: its own pool decides, ours only counts and times. */
export class GivenSupply implements Supply {
  readonly trouble = undefined;
  readonly #name: string;
  readonly #client: Sql;
  readonly #handler: Handler;
  readonly #canceller: DriverQuery["canceller"];

  constructor(name: string, client: Sql) {
    this.#name = name;
    this.#client = client;
    const query = rawQuery(client, "");
    this.#handler = query.handler;
    this.#canceller = query.canceller;
  }

  take(taker: Taker): void {
    if (taker.exclusive) void this.#reserve(taker);
    else taker.take(new GivenLine(this.#handler, this.#canceller));
  }

  async #reserve(taker: Taker): Promise<void> {
    try {
      const reserved = await this.#client.reserve();
      taker.take(new GivenLine(rawQuery(reserved, "").handler, this.#canceller, reserved));
    } catch (error) {
      const message = `${this.#name}: no connection from the client that was handed over: ${describeError(error)}`;
      taker.refuse(
        new StewardError("DATABASE_CONNECT_FAILED", message, { resource: this.#name, cause: error, retryable: true }),
      );
    }
  }

  leave(): boolean {
    return false;
  }

  release(line: Line): void {
    if (line instanceof GivenLine) line.giveBack();
  }
}

/** One query, or one reservation, of a client that was handed over. */
class GivenLine implements Line {
  lease: Revocable | undefined = undefined;
  readonly dead = false;
  readonly #handler: Handler;
  readonly #canceller: DriverQuery["canceller"];
  readonly #reserved: ReservedSql | undefined;
  #query: DriverQuery | undefined;
  #revoked = false;
  #settled: Promise<unknown> | undefined;

  constructor(handler: Handler, canceller: DriverQuery["canceller"], reserved?: ReservedSql) {
    this.#handler = handler;
    this.#canceller = canceller;
    this.#reserved = reserved;
  }

  get busy(): boolean {
    return this.#query !== undefined;
  }

  get settled(): Promise<unknown> | undefined {
    return this.#settled;
  }

  run(query: DriverQuery, runner: Runner): void {
    this.#query = query;
    const end = (): void => void (this.#query = undefined);
    query.resolve = (value) => (end(), runner.finished(value));
    query.reject = (error) => (end(), runner.failed(error));
    this.#handler(query);
  }

  cancel(): Promise<unknown> {
    const query = this.#query;
    if (query === undefined) return Promise.resolve();
    const asked = Promise.resolve(this.#canceller?.(query)).catch(() => {});
    return (this.#settled = asked.finally(() => (this.#settled = undefined)));
  }

  /** Not ours to cut off: what runs is cancelled, and a transaction rolled back before its connection goes back. */
  destroy(): void {
    this.#revoked = true;
    void this.cancel();
  }

  giveBack(): void {
    if (this.#reserved === undefined) return;
    const { release } = this.#reserved;
    if (!this.#revoked) return release();
    Promise.resolve(rawQuery(this.#reserved, "rollback")).then(release, release);
  }
}
