import type { Model } from "../schema/read-schema.ts";
import type { Reading } from "./node.ts";

/** What a source is given when it is read. */
export interface ReadContext {
  /** Aborts when the reading has taken too long. */
  readonly signal: AbortSignal;
  /** @internal */
  readonly model: Model;
}

/** Where settings come from. Made by `jsonFile`, `yamlFile`, `dotenvFile`, `secretFiles`, `env`, `overrides` or `source`. */
export interface Source {
  /** What explanations and `stats()` call it. */
  readonly name: string;
  /** Files and folders whose change makes it say something else. */
  readonly files: readonly string[];
  /** @internal The prefix of its variables. */
  readonly prefix?: string | undefined;
  /** @internal Reads it. Problems are part of what it says; a rejection counts as unreadable. */
  readonly read: (context: ReadContext) => Promise<Reading> | Reading;
}

/** The prefix of variables: that of the last source that has one. */
export function prefixOf(sources: readonly Source[]): string {
  return [...sources].reverse().find(({ prefix }) => prefix !== undefined)?.prefix ?? "";
}
