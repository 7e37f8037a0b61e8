import { recognised, type Rule } from "@steward/core/driver";

const PREFIX = /^[A-Za-z_][A-Za-z0-9_]{0,39}(\.[A-Za-z_][A-Za-z0-9_]{0,39})?$/;

/** Rows that are over and go with each new one: more than one, so that the table does not grow. */
export const SWEPT = 10;

/** What the beginning of the names of tables must be. */
export function prefixRule(): Rule {
  return recognised((value) => typeof value === "string" && PREFIX.test(value), "a plain name of a table");
}

/** A parameter that is a number of ms, as an interval. */
export function ms(parameter: string): string {
  return `${parameter}::text::double precision * interval '1 millisecond'`;
}

/** The moment so many ms from now. */
export function after(parameter: string): string {
  return `now() + ${ms(parameter)}`;
}
