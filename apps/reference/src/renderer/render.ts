import { createHash } from "node:crypto";
import type { Clock } from "@steward/core";

/** What a video is while it is being rendered. */
export type Stage = "DECODING" | "ENCODING" | "PACKAGING";

/** A place from which any renderer can go on, to the same result. */
export interface Checkpoint {
  /** Steps that are done. */
  readonly position: number;
  /** What the steps so far have come to. */
  readonly state: Buffer;
}

/** What is to be rendered. */
export interface Source {
  readonly url: string;
  /** Length in ms; 0 when it is not known. */
  readonly durationMs: number;
}

/** How far a rendering is. */
export interface Rendered {
  readonly stage: Stage;
  /** Whole percents. */
  readonly percent: number;
  readonly checkpoint: Checkpoint;
}

/** How rendering goes. */
export interface RenderOptions {
  /** How long one step takes, in ms. */
  readonly stepMs: number;
  readonly clock: Clock;
  /** Ends it, within a step. */
  readonly signal: AbortSignal;
}

const [FEWEST_STEPS, USUAL_STEPS, MOST_STEPS] = [10, 50, 100];
const PERCENTS_OF_DECODING = 10;
const PERCENTS_BEFORE_PACKAGING = 95;
const STATE_BYTES = 32;

/** The steps of a video: one for each second of it, within bounds. */
export function stepsOf({ durationMs }: Source): number {
  if (durationMs === 0) return USUAL_STEPS;
  return Math.min(MOST_STEPS, Math.max(FEWEST_STEPS, Math.ceil(durationMs / 1_000)));
}

/** Where the rendering of a video begins. */
export function beginningOf({ url }: Source): Checkpoint {
  return { position: 0, state: createHash("sha256").update(url).digest() };
}

/** Whether a video can be rendered on from there. */
export function isCheckpointOf(source: Source, { position, state }: Checkpoint): boolean {
  return position <= stepsOf(source) && state.length === STATE_BYTES;
}

/**
 * Renders a video from a checkpoint on: says first where that is, then every step. It only simulates: a step waits,
 * and takes the last state into the next one, so the last state shows that every step was done, and once.
 */
export async function* render(
  source: Source,
  from: Checkpoint,
  { stepMs, clock, signal }: RenderOptions,
): AsyncGenerator<Rendered, void, void> {
  const steps = stepsOf(source);
  yield rendered(from, steps);
  for (let done = from; done.position < steps;) {
    await clock.sleep(stepMs, signal);
    done = stepAfter(done);
    yield rendered(done, steps);
  }
}

/** What one more step makes of it. */
export function stepAfter({ position, state }: Checkpoint): Checkpoint {
  const next = position + 1;
  return { position: next, state: createHash("sha256").update(state).update(String(next)).digest() };
}

function rendered(checkpoint: Checkpoint, steps: number): Rendered {
  const percent = Math.floor((checkpoint.position * 100) / steps);
  return { stage: stageAt(percent), percent, checkpoint };
}

function stageAt(percent: number): Stage {
  if (percent < PERCENTS_OF_DECODING) return "DECODING";
  return percent < PERCENTS_BEFORE_PACKAGING ? "ENCODING" : "PACKAGING";
}
