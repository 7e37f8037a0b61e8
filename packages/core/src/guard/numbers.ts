import { StewardError } from "../errors.ts";
import type { GuardBounds, GuardStats } from "./options.ts";
import type { Histogram } from "../health/histogram.ts";
import type { HistogramValue, MetricSample } from "../ports/metrics.ts";
import type { Places } from "./places.ts";

/** The numbers of a guard as series, with the given attributes. */
export function* guardSeries(
  stats: GuardStats,
  durations: HistogramValue,
  attributes: Readonly<Record<string, string>>,
): Iterable<MetricSample> {
  const { breaker } = stats;
  const counter = (outcome: string, value: number): MetricSample => ({
    name: "dependency_requests_total",
    kind: "counter",
    unit: "{request}",
    attributes: { ...attributes, outcome },
    value,
  });
  yield counter("success", stats.succeeded);
  yield counter("failure", stats.failed);
  yield counter("overloaded", stats.overloaded);
  if (breaker !== undefined) yield counter("circuit_open", breaker.refused);
  yield { name: "dependency_retries_total", kind: "counter", unit: "{retry}", attributes, value: stats.retried };
  yield { name: "dependency_duration_seconds", kind: "histogram", unit: "s", attributes, value: durations };
  yield { name: "dependency_in_use", kind: "gauge", unit: "{request}", attributes, value: stats.inUse };
  yield { name: "dependency_in_use_peak", kind: "gauge", unit: "{request}", attributes, value: stats.peakInUse };
  yield { name: "dependency_pending", kind: "gauge", unit: "{request}", attributes, value: stats.pending };
  if (breaker === undefined) return;
  const open = breaker.state === "closed" || breaker.state === "ramp" ? 0 : 1;
  yield { name: "dependency_circuit_open", kind: "gauge", unit: "1", attributes, value: open };
}

type Named = Pick<GuardBounds, "resource" | "subject">;

/** The error of a call for which there is neither a place nor room in the queue. */
export function overloadError({ resource, subject = resource }: Named, stats: GuardStats): StewardError {
  const message = `${subject}: the queue is full (${numbers(stats)}); raise its bounds, or send less at once`;
  return new StewardError("OVERLOADED", message, { resource, retryable: true });
}

/** A call whose time has run out. */
interface Late {
  readonly queued: boolean;
  /** It has answered, so that only its end is missing. */
  readonly hasOutcome: boolean;
  readonly since: number;
  readonly deadline: number;
}

/** The error of a call that ran into its deadline, queued or running. */
export function timeoutError(
  { resource, subject = resource }: Named,
  stats: GuardStats,
  { queued, hasOutcome, since, deadline }: Late,
  now: number,
): StewardError {
  const running = hasOutcome ? "answered, but not done" : "no answer";
  const where = queued ? `still queued behind ${stats.pending - 1} others` : running;
  const left = queued && deadline > now ? ", with too little time left for an answer" : "";
  const message = `${subject}: ${where} after ${Math.round(now - since)} ms${left} (${numbers(stats)})`;
  return new StewardError("DEADLINE_EXCEEDED", message, { resource, retryable: queued });
}

function numbers({ inUse, maxConcurrent, pending, maxPending }: GuardStats): string {
  const isBounded = maxConcurrent !== undefined;
  return `in use ${inUse}${isBounded ? ` of ${maxConcurrent}` : ""}, pending ${pending}${isBounded ? ` of ${maxPending}` : ""}`;
}

/** Numbers of the calls of several guards together. */
export interface CallSums {
  started: number;
  failed: number;
  inUse: number;
  peakInUse: number;
  maxConcurrent: number;
  /** Attempts that ended, and how long they took together, in s. */
  ended: number;
  seconds: number;
}

/** Adds the numbers of one guard. */
export function addCalls(
  sums: CallSums,
  { started, inUse, peakInUse, maxConcurrent }: ReturnType<Places["stats"]>,
  failed: number,
  { count, sum }: Histogram,
): void {
  sums.started += started;
  sums.failed += failed;
  sums.inUse += inUse;
  sums.peakInUse += peakInUse;
  sums.maxConcurrent += maxConcurrent ?? Number.POSITIVE_INFINITY;
  sums.ended += count;
  sums.seconds += sum;
}
