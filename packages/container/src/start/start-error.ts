import { isStewardError } from "@steward/core";
import { describeError, OptionsError } from "@steward/core/container";
import { StartError, type NodeFailure } from "../errors.ts";
import type { StartAttempt } from "./start-attempt.ts";
import type { StoppedNodes } from "../stop/stop.ts";

/** What was stopped again where that goes on beside. */
export const NOTHING_YET: StoppedNodes = { order: [], failures: [] };

/** What a failed start says to who reads it at night. */
function startMessage(
  failures: readonly NodeFailure[],
  { order, failures: notStopped }: StoppedNodes,
  stillStarting: readonly string[],
): string {
  const [first, ...others] = failures;
  const lines = [
    `"${first?.resource}" failed in ${first?.phase} after ${Math.round(first?.durationMs ?? 0)} ms: ${describeError(first?.cause)}${tries(first)}`,
  ];
  if (others.length > 0) lines.push(`failed as well: ${listed(others)}`);
  const stopped = order.filter((name) => notStopped.every(({ resource }) => resource !== name));
  if (order.length === 0) lines.push("nothing else had started");
  if (stopped.length > 0) lines.push(`stopped again: ${stopped.join(", ")}`);
  if (notStopped.length > 0) lines.push(`failed to stop again: ${listed(notStopped)}`);
  if (stillStarting.length > 0)
    lines.push(`ignored its abort and is still starting, will be stopped when it arrives: ${stillStarting.join(", ")}`);
  return lines.join("\n  ");
}

function listed(failures: readonly NodeFailure[]): string {
  return failures.map(({ resource, cause }) => `"${resource}" (${describeError(cause)})`).join(", ");
}

function tries(failure: NodeFailure | undefined): string {
  return failure?.attempts === undefined ? "" : ` (tried ${failure.attempts} times)`;
}

/** The one error of a failed start. Where only options are wrong it lists all problems of all resources. */
export function startError(attempt: StartAttempt, taken: StoppedNodes): Error {
  const { failures, stillStarting } = attempt;
  const problems = failures.flatMap((failure) => (failure.cause instanceof OptionsError ? failure.cause.problems : []));
  if (problems.length > 0 && failures.every((failure) => isStewardError(failure.cause, "OPTIONS_INVALID")))
    return new OptionsError(problems);
  return new StartError(startMessage(failures, taken, stillStarting), {
    failures,
    rolledBack: taken.order,
    stillStarting,
    rollbackFailures: taken.failures,
  });
}
