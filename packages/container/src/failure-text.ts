import { describeError, isStewardError } from "@steward/core";
import { StartError } from "./errors.ts";

/** What a person reads when a start or a shutdown failed: the message in full, and stacks where somebody's code threw. */
export function failureText(error: unknown): string {
  const message = isStewardError(error) ? `${error.code}: ${error.message}` : describeError(error);
  return [message, ...stacksOf(error)].join("\n");
}

function stacksOf(error: unknown): string[] {
  const causes = error instanceof StartError ? error.failures.map((failure) => failure.cause) : [error];
  return causes.flatMap((cause) =>
    cause instanceof Error && isUnexpected(cause) ? [indented(cause.stack ?? "")] : [],
  );
}

/** Errors with a code (ours, the system's, a driver's) explain themselves; a bare one is most often a mistake in the code. */
function isUnexpected(error: Error): boolean {
  return !("code" in error && typeof error.code === "string");
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, "    ");
}
