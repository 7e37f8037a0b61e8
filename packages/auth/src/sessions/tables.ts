import { recognised, type Rule } from "@steward/core/driver";

const PREFIX = /^[A-Za-z_][A-Za-z0-9_]{0,39}(\.[A-Za-z_][A-Za-z0-9_]{0,39})?$/;

/** What the beginning of the names of tables must be. */
export function prefixRule(): Rule {
  return recognised((value) => typeof value === "string" && PREFIX.test(value), "a plain name of a table");
}
