import type { SqlRunner } from "@steward/core";
import { tablesOnce } from "@steward/core/driver";

/**
 * Makes the two tables of an audit log where they do not exist. What is looked for stands in columns that Postgres works
 * out of the entry, so that no column can say another thing than what is hashed.
 */
export function createTables(sql: SqlRunner, table: string, chains: string): Promise<void> {
  const column = (name: string): string => `${name} text generated always as (entry::jsonb ->> '${name}') stored`;
  return tablesOnce(sql, [
    `create table if not exists ${table} (
       chain bigint not null, seq bigint not null, entry text not null, hash text not null, seal text,
       time bigint generated always as ((entry::jsonb ->> 'time')::bigint) stored,
       ${["action", "actor", "target", "outcome"].map(column).join(", ")}, primary key (chain, seq))`,
    `create index if not exists ${table.split(".").at(-1) ?? table}_time on ${table} (time)`,
    `create table if not exists ${chains} (
       chain bigint generated always as identity primary key, seq bigint not null, hash text not null)`,
  ])();
}
