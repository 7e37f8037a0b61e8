import { outsideRequests } from "./context.ts";

const KEYWORD = /^(?:\s|--.*\n|\/\*(?:[^*]|\*(?!\/))*\*\/|\()*([a-z]{1,20})/i;

/** First keyword of a statement, in capitals: what it does, without the data in it. `undefined` where there is none. */
export function sqlKeyword(statement: unknown): string | undefined {
  return typeof statement === "string" ? KEYWORD.exec(statement.slice(0, 500))?.[1]?.toUpperCase() : undefined;
}

/** unique_violation, duplicate_table, duplicate_object: "if not exists" still fails in all but one of those who create it at the same moment. */
const LOST_RACE: ReadonlySet<string> = new Set(["23505", "42P07", "42710"]);

/** What runs a statement. */
interface Statements {
  query(statement: string): Promise<unknown>;
}

/** Runs statements that make tables once, when they are first needed; after a failure again at the next call. It is not work of the request that needs them first, nor over with that. */
export function tablesOnce(sql: Statements, statements: readonly string[]): () => Promise<void> {
  let made: Promise<void> | undefined;
  const make = async (): Promise<void> => {
    for (const statement of statements)
      await sql.query(statement).catch((error: unknown) => {
        if (!isLostRace(error)) throw error;
        return sql.query(statement); // now it is there
      });
  };
  return () =>
    (made ??= outsideRequests(make).catch((error: unknown) => {
      made = undefined;
      throw error;
    }));
}

function isLostRace(error: unknown): boolean {
  return error instanceof Error && "code" in error && LOST_RACE.has(String(error.code));
}
