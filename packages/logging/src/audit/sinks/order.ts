import { auditError } from "../../errors.ts";

/** Runs what it is given one after the other: entries of a chain follow one another. */
export function oneByOne(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };
}

/** The error of a sink that is no database. */
export function noTransaction(what: string): Error {
  return auditError("AUDIT_NOT_IN_TRANSACTION", `nothing was recorded: ${what} cannot be part of a transaction`);
}
