import { currentContext } from "../context.ts";
import { stewardErrorIn } from "../public-error.ts";

/**
 * Whether a call failed because the work that it is a part of was given up, or ran out of time before `endsAt`, when the call itself
 * would have: that says nothing of what was called.
 */
export function isGivenUp(error: unknown, endsAt: number): boolean {
  const code = stewardErrorIn(error)?.code;
  if (code === "CALL_ABORTED") return true;
  return code === "DEADLINE_EXCEEDED" && (currentContext()?.deadline ?? Number.POSITIVE_INFINITY) < endsAt;
}
