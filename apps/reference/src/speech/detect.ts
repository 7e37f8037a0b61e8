import type { Model, Tensor } from "@steward/models";
import type { Wav } from "./wav.ts";

/** What the voice-activity model takes: 32 ms of sound at 16 kHz, and the 4 ms before them. */
export const SAMPLE_RATE = 16_000n;
const STEP = 512;
const CONTEXT = 64;
export const FRAME: number = CONTEXT + STEP;
/** What it keeps from one frame to the next. */
export const STATE = 256;
const STEP_MS = STEP / 16;

/** A stretch of speech. */
export interface Segment {
  readonly startMs: number;
  readonly endMs: number;
}

/** Sound is cut into lanes of 20 s or more, which are listened to at once, as rows of one batch. */
const [LANE_STEPS, MOST_LANES] = [625, 32];
/** What a lane hears before its own part, so that it judges as one that has heard all: 2 s. */
const WARM_STEPS = 64;

/** How likely there is speech, for each 32 ms. */
export async function likelihoods(voice: Model, sound: Wav, signal: AbortSignal): Promise<Float32Array> {
  const steps = Math.ceil(sound.samples / STEP);
  const lanes = Math.min(MOST_LANES, Math.max(1, Math.floor(steps / LANE_STEPS)));
  const own = Math.ceil(steps / lanes);
  const found = new Float32Array(steps);
  const sr: Tensor = { type: "int64", shape: [], data: BigInt64Array.of(SAMPLE_RATE) };
  let state: Tensor = { type: "float32", shape: [2, lanes, STATE / 2], data: new Float32Array(STATE * lanes) };
  for (let step = -WARM_STEPS; step < own; step++) {
    const data = new Float32Array(FRAME * lanes);
    for (let lane = 0; lane < lanes; lane++)
      sound.read(data.subarray(lane * FRAME, (lane + 1) * FRAME), (lane * own + step) * STEP - CONTEXT);
    const input: Tensor = { type: "float32", shape: [lanes, FRAME], data };
    const { output, stateN } = await voice.run({ input, state, sr }, { signal });
    if (output === undefined || stateN === undefined) throw new TypeError("the voice model gave no output");
    state = stateN;
    if (step < 0) continue;
    for (let lane = 0; lane < lanes; lane++) {
      const at = lane * own + step;
      if (at < steps) found[at] = Number(output.data[lane]);
    }
  }
  return found;
}

const [BEGINS, GOES_ON] = [0.5, 0.35];
const [LEAST_SPEECH_MS, LEAST_SILENCE_MS, PAD_MS] = [250, 300, 64];

/** The stretches of speech: short pauses do not end one, and what is too short is a noise. */
export function segmentsOf(likely: Float32Array, durationMs: number): readonly Segment[] {
  const found: { startMs: number; endMs: number }[] = [];
  let startMs: number | undefined;
  const end = (endMs: number): void => {
    const last = found.at(-1);
    if (last !== undefined && startMs !== undefined && startMs - last.endMs < LEAST_SILENCE_MS) last.endMs = endMs;
    else if (startMs !== undefined) found.push({ startMs, endMs });
    startMs = undefined;
  };
  for (const [step, value] of likely.entries()) {
    if (startMs === undefined && value >= BEGINS) startMs = step * STEP_MS;
    else if (startMs !== undefined && value < GOES_ON) end(step * STEP_MS);
  }
  end(durationMs);
  return found
    .filter(({ startMs, endMs }) => endMs - startMs >= LEAST_SPEECH_MS)
    .map(({ startMs, endMs }) => ({
      startMs: Math.max(0, startMs - PAD_MS),
      endMs: Math.min(durationMs, endMs + PAD_MS),
    }));
}
