import { isStewardError } from "@steward/core";

/** What of an error that is none of ours may stand in a log: what it is, not what it was about. */
const KEPT: readonly string[] = ["name", "code", "errno", "syscall", "statusCode"];
/** Where drivers keep the values that they were called with. */
const VALUES: readonly string[] = ["params", "parameters", "values", "args"];
/** Values that are shorter stand in every text. */
const LEAST_MASKED = 3;
const MOST_CAUSES = 10;

/**
 * An error as it may stand in a log. Errors of drivers carry what they were called with: statements with the values in
 * them, rows, requests with headers. Here they keep their type, text, code, stack and cause; values that they name are
 * masked in the text too.
 */
export function loggable(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  try {
    return copyOf(error, MOST_CAUSES);
  } catch {
    return new Error("an error whose properties throw when they are read");
  }
}

function copyOf(error: Error, depth: number): Error {
  const mask = maskOf(error);
  const copy = Object.create(Object.getPrototypeOf(error) as object) as Error; // of the same class, so that a log names that
  const put = (key: string, value: unknown, enumerable: boolean): unknown =>
    Object.defineProperty(copy, key, { value, enumerable, configurable: true, writable: true });
  put("message", mask(error.message), false);
  put("stack", mask(error.stack ?? ""), false);
  const own = Object.keys(error).filter((key) => isStewardError(error) || KEPT.includes(key));
  for (const key of own) put(key, valueOf(error, key), true);
  if (error.cause !== undefined && depth > 0)
    put("cause", error.cause instanceof Error ? copyOf(error.cause, depth - 1) : undefined, false);
  return copy;
}

function valueOf(error: Error, key: string): unknown {
  return Reflect.get(error, key);
}

/** Takes out of a text what the error was called with. */
function maskOf(error: Error): (text: string) => string {
  const values = VALUES.flatMap((key) => textsIn(valueOf(error, key))).sort((a, b) => b.length - a.length);
  const named = isDataException(error) ? /: "[^]*?"(?=$|\n)/ : undefined;
  return (text) => {
    const masked = values.reduce((rest, value) => rest.replaceAll(value, "***"), text);
    return named === undefined ? masked : masked.replace(named, ": ***");
  };
}

function textsIn(values: unknown): string[] {
  if (!Array.isArray(values)) return [];
  return values.flatMap((value: unknown) => {
    const text =
      typeof value === "string" || typeof value === "number" || typeof value === "bigint" ? String(value) : "";
    return text.length < LEAST_MASKED ? [] : [text];
  });
}

/** Class 22 of SQL: the text repeats the value that was wrong. */
function isDataException(error: Error): boolean {
  const code = valueOf(error, "code");
  return typeof code === "string" && /^22[0-9A-Z]{3}$/.test(code);
}
