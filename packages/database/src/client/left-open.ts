import type { Line } from "../connections/line.ts";
import { isAborted, type DriverQuery } from "../connections/driver.ts";

/** A connection that can be asked by us. */
export type OwnLine = Line & Required<Pick<Line, "query">>;

/** Whether a statement may have left a transaction open on a connection that others get next. `value` is its result, if it has one. */
export function mayLeaveOpen(line: Line | undefined, query: DriverQuery, value?: unknown): line is OwnLine {
  return (
    line !== undefined &&
    line.lease === undefined &&
    line.query !== undefined &&
    !line.dead &&
    mayHaveBegun(query, value)
  );
}

/** Of a script the driver may keep the last command alone, so its text is looked at, which says too much rather than too little. */
function mayHaveBegun({ options, string = "" }: DriverQuery, value: unknown): boolean {
  if (value === undefined) return BEGINS.test(string);
  const { command } = value as { readonly command?: string }; // every result of the driver may have one
  if (command === "BEGIN" || command === "START TRANSACTION") return true;
  return options.simple === true && string.includes(";") && BEGINS.test(string);
}

const BEGINS = /\b(begin|start)\b/i;

/** Rolls back the transaction that is open, if there is one. Where that cannot be done, the connection is not used again. */
export async function rollBack(line: OwnLine): Promise<boolean> {
  try {
    const isOpen = await isInTransaction(line);
    if (isOpen) await line.query("rollback");
    return isOpen;
  } catch (error) {
    line.destroy();
    throw error;
  }
}

/** A setting that ends with its transaction: it is met again only where that goes on. */
const MARK = "select pg_catalog.set_config('steward.marked', 'yes', true)";
const MARKED = "select pg_catalog.current_setting('steward.marked', true) as marked";

/** Whether a transaction is open, one that has failed too. */
async function isInTransaction(line: OwnLine): Promise<boolean> {
  try {
    await line.query(MARK);
    return (await line.query(MARKED))[0]?.["marked"] === "yes";
  } catch (error) {
    if (isAborted(error)) return true;
    throw error;
  }
}
