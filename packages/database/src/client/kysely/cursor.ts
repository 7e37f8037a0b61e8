import type { ReservedSql } from "postgres";

/** Rows in portions, for Kysely's `stream()`: it is made of a statement, and reads on the connection that it is put over. */
export class Cursor<T> {
  readonly #text: string;
  readonly #parameters: readonly unknown[];
  #sql: ReservedSql | undefined;
  #portions: AsyncIterator<unknown> | undefined;

  constructor(text: string, parameters: readonly unknown[]) {
    this.#text = text;
    this.#parameters = parameters;
  }

  /** Says where to read. */
  over(sql: ReservedSql): this {
    this.#sql = sql;
    return this;
  }

  /** The next rows: as many as the first call has asked for; none at the end. */
  async read(rowsCount: number): Promise<T[]> {
    this.#portions ??= this.#begin(rowsCount);
    const next = await this.#portions?.next();
    return next === undefined || next.done === true ? [] : (next.value as T[]); // what a row is, its caller says
  }

  #begin(rowsCount: number): AsyncIterator<unknown> | undefined {
    const query = this.#sql?.unsafe(this.#text, [...this.#parameters] as never[]); // the server checks them
    return query?.cursor(rowsCount)[Symbol.asyncIterator]();
  }

  /** Reads no more; the connection takes the next statement. */
  async close(): Promise<void> {
    await this.#portions?.return?.();
  }
}
