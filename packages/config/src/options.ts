import {
  givenSchema,
  hasMethods,
  isStandardSchema,
  msSchema,
  textSchema,
  type StandardSchema,
} from "@steward/core/driver";
import * as v from "valibot";
import type { OutputOf } from "./schema/standard.ts";
import type { Source } from "./sources/source.ts";

/** How changes of files are noticed. */
export interface WatchOptions {
  /** How long files have to be quiet before they are read, in ms. Default 200. */
  readonly debounceMs?: number | undefined;
  /**
   * Time between two looks at the files, in ms, for what sends no events, such as a single file that is mounted into a
   * container. Default 30,000.
   */
  readonly pollMs?: number | undefined;
}

/** Options of a {@link ConfigManager}. */
export interface ConfigOptions<S extends StandardSchema = StandardSchema<object>> {
  /** What the settings are: a strict object of valibot, or any Standard Schema that can be written as JSON Schema. */
  readonly schema: S;
  /** Where they come from, in order: later ones win, objects are merged by their names. */
  readonly sources: readonly Source[];
  /**
   * Paths of what may change without a restart, because it is read where it is used: through `current(settings)`, or
   * by `reveal()` of a secret. Default: none.
   */
  readonly live?: readonly string[] | undefined;
  /**
   * What a change does outside of `live`: `restart` makes the sections anew that it concerns, with all that need them;
   * `refuse` keeps the old settings. Default `restart`.
   */
  readonly onChange?: "restart" | "refuse" | undefined;
  /** Whether files are watched, and how. Default `false`: they are read again only by `reload()`. */
  readonly watch?: boolean | WatchOptions | undefined;
  /** Longest reading of one source, in ms. Default 10,000. */
  readonly readTimeoutMs?: number | undefined;
  /** Longest preparation of one subscriber for new settings, in ms. Default 5,000. */
  readonly prepareTimeoutMs?: number | undefined;
}

/** The type of the settings that some options describe. */
export type SettingsOf<O extends ConfigOptions> = OutputOf<O["schema"]>;

function isSource(value: unknown): boolean {
  return hasMethods(value, "read") && Array.isArray(Reflect.get(value as object, "files")); // it has a method
}

/** What the options of a manager must be. */
export const configSchema: v.GenericSchema<unknown, ConfigOptions> = v.strictObject({
  schema: givenSchema<StandardSchema<object>>(isStandardSchema, "a schema of valibot, or any Standard Schema"),
  sources: givenSchema<readonly Source[]>(
    (value) => Array.isArray(value) && value.every(isSource),
    "a list of sources, such as [yamlFile(path), env(process.env)]",
  ),
  live: v.optional(v.array(textSchema())),
  onChange: v.optional(v.picklist(["restart", "refuse"])),
  watch: v.optional(
    v.union([v.boolean(), v.strictObject({ debounceMs: v.optional(msSchema()), pollMs: v.optional(msSchema()) })]),
  ),
  readTimeoutMs: v.optional(msSchema()),
  prepareTimeoutMs: v.optional(msSchema()),
});
