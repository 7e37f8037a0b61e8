import { isStewardError } from "@steward/core";
import { describeError } from "@steward/core/container";
import { StartError } from "../errors.ts";

/** What a person reads when a start or a shutdown failed: the message in full, and stacks where an app's code threw. */
export function failureText(error: unknown): string {
  const message = isStewardError(error) ? `${error.code}: ${error.message}` : describeError(error);
  return [message, ...stacksOf(error)].join("\n");
}

/** Codes of errors that say what became of another error. */
const ANNOUNCES: ReadonlySet<string> = new Set(["BACKGROUND_ENDED", "UNCAUGHT_ERROR"]);

function stacksOf(error: unknown): string[] {
  const failures = error instanceof StartError ? error.failures.map((failure) => failure.cause) : [error];
  return failures.flatMap((failure) => {
    const origin = unexplained(failure);
    return origin === undefined ? [] : [indented(origin.stack ?? "")];
  });
}

/**
 * The error below that does not explain itself. Errors with a code (ours, the system's, a driver's) do; a bare one is
 * most often a mistake in an app's code, and ours that announce one have it as their cause.
 */
function unexplained(error: unknown): Error | undefined {
  if (!(error instanceof Error)) return undefined;
  if (isStewardError(error) && ANNOUNCES.has(error.code)) return unexplained(error.cause);
  return "code" in error && typeof error.code === "string" ? undefined : error;
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, "    ");
}
