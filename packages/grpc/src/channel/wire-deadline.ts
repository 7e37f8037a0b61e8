import { Metadata } from "@grpc/grpc-js";

const HEADER = "grpc-timeout";
/** The wire's deadline is at least this much later than ours, in ms, so that it is our error that callers see. */
export const SLACK_MS = 20;
const STEP_MS = 10;
/** Texts for the header that are kept: those of default deadlines come again with every call. */
const KEPT = 64;

const bare = new Map<number, Metadata>();

/** `undefined` where the metadata is not empty. */
function bareWith(given: Metadata, timeoutMs: number): Metadata | undefined {
  for (const _ in given.getMap()) return undefined;
  for (const _ in given.getOptions()) return undefined;
  let kept = bare.get(timeoutMs);
  if (kept !== undefined) return kept;
  kept = withTimeout(new Metadata(), timeoutMs);
  if (bare.size < KEPT) bare.set(timeoutMs, kept);
  return kept;
}

function withTimeout(metadata: Metadata, timeoutMs: number): Metadata {
  metadata.set(HEADER, timeoutMs < 1e8 ? `${timeoutMs}m` : `${Math.ceil(timeoutMs / 1_000)}S`);
  return metadata;
}

/**
 * The metadata of a call with what is left of its time, in ms, for its server.
 *
 * grpc-js can do that too, with a timer and another text for each call; our guard has the timer, and texts that
 * repeat are one byte on the wire. grpc-js copies what it is given, so one object does for many calls.
 */
export function withDeadline(given: Metadata, leftMs: number): Metadata {
  if (leftMs === Number.POSITIVE_INFINITY) return given;
  // Less what the sums of floating point are off, or a default would have two texts.
  const timeoutMs = Math.ceil(Math.max(0, leftMs - 0.001) / STEP_MS) * STEP_MS + SLACK_MS;
  return bareWith(given, timeoutMs) ?? withTimeout(given.clone(), timeoutMs);
}
