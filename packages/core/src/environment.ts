import type * as v from "valibot";
import { describeError, StewardError } from "./errors.ts";
import { ruleSchema } from "./options/atoms.ts";
import { environmentName } from "./options/rules.ts";
import { tablesOnce } from "./sql.ts";

const TABLE = "steward_environment";
/** insufficient_privilege, read_only_sql_transaction. */
const NOT_ALLOWED: ReadonlySet<string> = new Set(["42501", "25006"]);

/** The option `environment` of a driver. */
export function environmentSchema(): v.GenericSchema<unknown, string> {
  return ruleSchema(environmentName());
}

/** A name that others see, with the environment behind it. */
export function inEnvironment(name: string, environment: string | undefined): string {
  return environment === undefined ? name : `${name}/${environment}`;
}

/** The error of a store that belongs to another environment; `remedy` says what to do where its mark is wrong. */
export function environmentMismatch(
  resource: string,
  { store, expected, found, remedy }: Record<"store" | "expected" | "found" | "remedy", string>,
): StewardError {
  const shown = JSON.stringify(found.slice(0, 64)); // anyone may have written it
  return new StewardError(
    "ENVIRONMENT_MISMATCH",
    `${resource}: ${store} is marked for environment ${shown}, and this is "${expected}"; does the address lead to the right one? If the mark is wrong, ${remedy}`,
    { resource },
  );
}

/**
 * Makes sure that a database of Postgres is of an environment: the first that asks marks it, all others compare. Of
 * several that ask at once one marks it.
 *
 * @throws {ENVIRONMENT_MISMATCH} when it is marked for another one, or is not marked and may not be.
 */
export async function claimDatabase(
  resource: string,
  environment: string,
  query: (statement: string) => Promise<readonly Readonly<Record<string, unknown>>[]>,
): Promise<void> {
  const found = await allowed(resource, async () => (await marked(query)) ?? (await mark(environment, query)));
  if (found === environment) return;
  const remedy = `delete its row of ${TABLE}`;
  throw environmentMismatch(resource, { store: "the database", expected: environment, found, remedy });
}

async function allowed<T>(resource: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && NOT_ALLOWED.has(String(error.code)))) throw error;
    const text = `${resource}: this user may not read or make the mark of the environment: ${describeError(error)}; start once as a user who may create the table ${TABLE}, and grant others select on it`;
    throw new StewardError("ENVIRONMENT_MISMATCH", text, { resource, cause: error });
  }
}

type Query = Parameters<typeof claimDatabase>[2];

async function marked(query: Query): Promise<string | undefined> {
  const [table] = await query(`select to_regclass('${TABLE}') is not null as made`);
  if (table?.["made"] !== true) return undefined; // to make it again would need a right that not every user has
  const [row] = await query(`select environment from ${TABLE}`);
  return row === undefined ? undefined : String(row["environment"]);
}

async function mark(environment: string, query: Query): Promise<string> {
  await tablesOnce({ query }, [
    `create table if not exists ${TABLE} (one boolean primary key default true check (one), environment text not null, marked_at timestamptz not null default now())`,
  ])();
  await query(`insert into ${TABLE} (environment) values ('${environment}') on conflict do nothing`);
  return (await marked(query)) ?? environment;
}
