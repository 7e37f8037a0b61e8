import { valueAt } from "./value.ts";
import { countValues, nodeAt } from "../sources/node.ts";
import type { Model } from "../schema/read-schema.ts";
import type { Loaded, ReadSource } from "./load.ts";

/** One state of the settings, as a whole. */
export interface Generation {
  readonly number: number;
  /** As the schema gave it. */
  readonly raw: Readonly<Record<string, unknown>>;
  /** As users are handed it. */
  readonly value: Readonly<Record<string, unknown>>;
  readonly sources: readonly ReadSource[];
  /** When it was read, in ms since 1970. */
  readonly readAt: number;
  /** When it came in use, in ms of the clock. */
  readonly since: number;
}

/** What is added to what was read. */
export type GenerationFacts = Pick<Generation, "number" | "value" | "readAt" | "since">;

/** Makes a generation of what was read. */
export function generationOf({ value: raw, sources }: Loaded, facts: GenerationFacts): Generation {
  return { raw, sources, ...facts };
}

/** How many values a later source has replaced. */
export function overriddenIn({ names }: Model, sources: readonly ReadSource[]): number {
  const given = (keys: readonly string[]): number =>
    sources.filter(({ reading }) => nodeAt(reading.node, keys) !== undefined).length;
  return names.leaves.reduce((sum, { keys }) => sum + Math.max(0, given(keys) - 1), 0);
}

/** How many values each source gave. */
export function keysOf({ reading }: ReadSource): number {
  return countValues(reading.node);
}

/** What stands at a path of it, as the schema gave it. */
export function rawAt(generation: Generation | undefined, keys: readonly string[]): unknown {
  return valueAt(generation?.raw, keys);
}
