/**
 * How much a test may try, as a factor: 1 in a whole run, less in a quick loop, much more in a search by night. It
 * comes from the environment, as `STEWARD_EFFORT`.
 */
export const effort: number = Number(process.env["STEWARD_EFFORT"] ?? 1);

/**
 * How many rounds a test with random input makes: `usual` times the effort, and at least one.
 *
 * @example
 * ```ts
 * import { rounds } from "@steward/testing";
 * console.log(rounds(200)); // => 200
 * ```
 */
export function rounds(usual: number): number {
  return Math.max(1, Math.round(usual * effort));
}
