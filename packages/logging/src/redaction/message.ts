import { describeError } from "@steward/core/driver";

/** Fields in which drivers keep the statement that failed. */
const STATEMENTS = ["query", "sql", "statement"] as const;

/**
 * What an error says, without what its driver adds of a call: statements, values of parameters, arguments of commands.
 * Never throws.
 */
export function messageOf(error: Error): string {
  try {
    return withoutValues(error, holdsStatement(error) ? "a statement failed" : describeError(error));
  } catch {
    return "an error that cannot be read";
  }
}

function holdsStatement(error: Error): boolean {
  return STATEMENTS.some((field) => {
    const statement: unknown = Reflect.get(error, field);
    return typeof statement === "string" && statement !== "" && error.message.includes(statement);
  });
}

function withoutValues(error: Error, text: string): string {
  const code: unknown = Reflect.get(error, "code");
  const isData = typeof code === "string" && /^22[0-9A-Z]{3}$/.test(code); // of Postgres: it repeats the value
  const short = isData ? text.replace(/: ".*"/s, ': "***"') : text;
  const at = short.indexOf(", with args beginning with:"); // of Redis, which repeats the command
  return at === -1 ? short : short.slice(0, at);
}
