import { isRetryable, type Clock } from "@steward/core";
import { backoffMs, RESOURCE_TIMEOUTS, type ResourceSettings } from "@steward/core/container";
import type { LiveNode } from "../lifecycle/live-node.ts";

/** How often a start was tried, and the error of the last attempt, boxed, where none succeeded. */
export interface StartOutcome {
  readonly attempts: number;
  readonly failure: { readonly error: unknown } | undefined;
}

const DEFAULTS = { maxAttempts: 10, baseDelayMs: 250, maxDelayMs: 1_500 };
const ONCE = { ...DEFAULTS, maxAttempts: 1 };

/** A first start that failed, and what ends the next ones. */
interface FirstStart {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly error: unknown;
}

/**
 * Starts a resource again whose start has failed, where its error may pass: a server that is not up yet. Wrong options,
 * a wrong password or a mistake in the code have failed for good.
 */
export async function retryStart(node: LiveNode, { clock, signal, error }: FirstStart): Promise<StartOutcome> {
  const { settings } = node.graph.spec;
  const policy = policyOf(settings);
  // As for every start: all attempts together have the start timeout of the resource.
  const endsAt = node.since + (settings.startTimeoutMs ?? RESOURCE_TIMEOUTS.startTimeoutMs);
  const bounds = { minMs: policy.baseDelayMs, maxMs: policy.maxDelayMs };
  let failure = { error };
  for (let attempts = 1; ; attempts++) {
    const delayMs = backoffMs(attempts - 1, bounds, "equal");
    const triesAgain = attempts < policy.maxAttempts && isRetryable(failure.error) && clock.now() + delayMs < endsAt;
    if (!triesAgain || !(await slept(clock, delayMs, signal))) return { attempts, failure };
    try {
      await node.manager?.start({ signal });
      return { attempts: attempts + 1, failure: undefined };
    } catch (thrown) {
      failure = { error: thrown };
    }
  }
}

/** What other processes share is expected to come up late; what may be down is started without it and tried again later. */
function policyOf({ startRetry, readiness, criticality }: ResourceSettings): typeof DEFAULTS {
  if (startRetry === false || criticality === "optional") return ONCE;
  if (startRetry === undefined) return readiness === "startup" ? DEFAULTS : ONCE;
  const given = Object.fromEntries(Object.entries(startRetry).filter(([, value]) => value !== undefined));
  return { ...DEFAULTS, ...given };
}

/** `false` when the start was given up meanwhile. */
function slept(clock: Clock, delayMs: number, signal: AbortSignal): Promise<boolean> {
  return clock.sleep(delayMs, signal).then(
    () => true,
    () => false,
  );
}
