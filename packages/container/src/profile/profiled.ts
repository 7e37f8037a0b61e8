import { assertShape, milliseconds, shape, type Shape, wholeNumber } from "@steward/core/container";
import { spentIn, type Spent } from "./frames.ts";
import { claimProfiler, CpuRecording, type CpuProfile } from "./session.ts";

/** How something is profiled. */
export interface ProfiledOptions {
  /** Time between two samples, in ms, 0.1 to 1,000. Default 1. */
  readonly intervalMs?: number | undefined;
  /** How many functions to name. Default 10. */
  readonly top?: number | undefined;
}

/** What something gave, and where its time went. */
export interface Profiled<T> extends Spent {
  readonly value: T;
  /** From its begin to its end. */
  readonly durationMs: number;
  /** The whole profile; written as JSON to a file `.cpuprofile`, DevTools show it. */
  readonly profile: CpuProfile;
}

const profiledShape: Shape<ProfiledOptions> = /* @__PURE__ */ shape<ProfiledOptions>(() => ({
  intervalMs: milliseconds(0.1, 1_000),
  top: wholeNumber(1),
}));

/**
 * Runs `work` and says which functions had the most time of their own meanwhile, in the whole process: for tests and
 * for a look at what is slow. One at a time.
 *
 * @throws {PROFILE_RUNNING} while another profile is taken.
 * @throws What `work` throws.
 *
 * @example
 * ```ts
 * import { profiled } from "@steward/container/profile";
 * function count(): number {
 *   let sum = 0;
 *   for (let i = 0; i < 3e7; i++) sum += i % 7;
 *   return sum;
 * }
 * const { frames } = await profiled(count);
 * console.log(frames.some((frame) => frame.function === "count")); // => true
 * ```
 */
export async function profiled<T>(work: () => T | Promise<T>, options: ProfiledOptions = {}): Promise<Profiled<T>> {
  assertShape("profiled", profiledShape, options);
  using _claim = await claimProfiler("cpu", true);
  const recording = await CpuRecording.start(options.intervalMs ?? 1);
  const began = performance.now();
  let result: { readonly value: T } | undefined;
  let profile: CpuProfile;
  let durationMs: number;
  try {
    result = { value: await work() };
  } finally {
    durationMs = performance.now() - began;
    profile = await recording.stop();
  }
  return { ...spentIn(profile, options.top ?? 10), value: result.value, durationMs, profile };
}
