import { SCORE } from "../training/score.ts";
import type { ShownVideo } from "../videos/cached.ts";

const USUAL_MINUTES = 10;
const USUAL_TITLE = 40;

/** A video as the numbers that the score model learned from, each from -1 to 1. */
export function featuresOf({ durationMs, title, description, createdAt }: ShownVideo): Float32Array {
  const minutes = durationMs === null ? 0 : within(durationMs / 60_000 / USUAL_MINUTES - 1);
  const hour = (new Date(createdAt).getUTCHours() / 24) * 2 * Math.PI;
  const features = [minutes, within(title.length / USUAL_TITLE - 1), description === null ? 0 : 1, Math.sin(hour)];
  return Float32Array.from({ length: SCORE.inputs }, (_, at) => [...features, Math.cos(hour), 0][at] ?? 0);
}

function within(value: number): number {
  return Math.min(1, Math.max(-1, value));
}
