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
