/** What the voice-activity model takes: 32 ms of sound at 16 kHz, and the 4 ms before them. */
export const SAMPLE_RATE = 16_000n;
export const STEP = 512;
export const CONTEXT = 64;
export const FRAME: number = CONTEXT + STEP;
/** What it keeps from one frame to the next. */
export const STATE = 256;
export const STEP_MS: number = STEP / 16;
