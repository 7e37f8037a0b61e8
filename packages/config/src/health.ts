import type { StewardError } from "@steward/core";
import type { Trouble } from "@steward/core/container";
import type { Generation } from "./settings/generation.ts";

/** One source in `stats()` and in health documents: where settings come from, never what they are. */
export interface SourceFacts {
  readonly name: string;
  /** How many values it gave. */
  readonly keys: number;
  /** When it was read last, in ISO 8601. */
  readonly readAt: string;
}

/** Facts of a configuration: no value of it. */
export interface ConfigFacts {
  /** Counts up with every change, from 1 on. 0 before the first reading. */
  readonly generation: number;
  readonly sources: readonly SourceFacts[];
  /** How many values an earlier source gave that a later one replaced. */
  readonly overridden: number;
  /** Changes that came in use. */
  readonly reloads: number;
  /** Readings that were refused. */
  readonly refused: number;
  /** Paths that have changed, and that need a restart of the process: they are neither `live` nor part of a section. */
  readonly restartNeeded: readonly string[];
  /** Why the last reading was refused, without values; `undefined` where it was not. */
  readonly refusal: string | undefined;
}

/** What is wrong with it although it works: the settings that files hold now are not those in use. */
export function troubleOf(generation: Generation | undefined, refusal: StewardError | undefined): Trouble | undefined {
  if (generation === undefined || refusal === undefined) return undefined;
  return { status: "degraded", reason: refusal.message };
}
