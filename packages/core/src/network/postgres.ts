/**
 * What asks a server of Postgres whether it takes no writes of anybody: it follows another one, or its configuration says so. A
 * transaction that is read only by itself says nothing of it. Gives `reads_only`.
 */
export const READS_ONLY = "pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool as reads_only";

/**
 * A statement of SQL that gives the `pid` of those backends of Postgres that are at work for their client, or may be.
 * One that is not in its answer is gone, idle, or stuck in sending to its client or reading from it: where that client
 * waits for an answer, the connection between them is dead. A state that the asker may not see counts as work.
 *
 * Source: states and wait events of `pg_stat_activity`, https://www.postgresql.org/docs/current/monitoring-stats.html
 *
 * @param pids Ids of the backends.
 */
export function backendsAtWork(pids: readonly number[]): string {
  return (
    `select pid from pg_stat_activity where pid in (${pids.map(Number).join(", ")})` +
    " and coalesce(state, '') not like 'idle%'" +
    " and not (coalesce(state, '') = 'active' and coalesce(wait_event, '') in ('ClientRead', 'ClientWrite'))"
  );
}

/** A write was refused, because the transaction or the server is read only. */
export function isWriteRefused(error: unknown): boolean {
  return stateOf(error) === "25006";
}

/** PgBouncer says by one code and some words what Postgres has codes for. Source: its `disconnect_client` calls, 1.18 to 1.25. */
const BY_A_POOLER = /authentication failed|no such (user|database)|does not exist|unsupported startup parameter/i;

/** A login was refused for a reason that does not go away by waiting: credentials, a database that is missing, a setting that a pooler does not take. */
export function isLoginRefused(error: unknown): boolean {
  const state = stateOf(error);
  return state.startsWith("28") || state === "3D000" || (state === "08P01" && BY_A_POOLER.test(textOf(error)));
}

/** What to do where a pooler does not take a setting of the session; empty for other errors. */
export function poolerAdvice(error: unknown): string {
  if (stateOf(error) !== "08P01" || !/unsupported startup parameter/i.test(textOf(error))) return "";
  return "; a pooler takes no settings of a session: leave it out here, and set it for the role, as by alter role app set statement_timeout = '30s'";
}

function stateOf(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : "";
}
