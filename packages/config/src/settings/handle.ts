import { StewardError } from "@steward/core";
import type { ConfigFacts } from "../health.ts";
import type { Explanation } from "./explain.ts";
import type { ReloadResult } from "./reloads.ts";
import type { Subscriber } from "./subscribers.ts";

/** What can be asked and done besides reading settings. */
export interface SettingsHandle<T = unknown> {
  /** Reads all sources again: all or nothing. */
  reload(): Promise<ReloadResult>;
  /** Takes part in reloads; the returned function ends that. */
  subscribe(subscriber: Subscriber<T>): () => void;
  /** Where a setting comes from, or all below a path. Secrets are masked. */
  explain(path?: string): readonly Explanation[];
  /** Facts without values. */
  stats(): Readonly<Record<string, unknown>> & ConfigFacts;
}

const handles = new WeakMap<object, SettingsHandle>();

/** Lets {@link describe} find who looks after a value. */
export function handle(settings: object, by: SettingsHandle): void {
  handles.set(settings, by);
}

/**
 * What can be asked and done besides reading settings: `explain(path)`, `reload()`, `subscribe(...)`, `stats()`.
 *
 * @throws {DEFINITION_INVALID} for a value that no `config(...)` has given, such as one of a test.
 */
export function describe<T extends object>(settings: T): SettingsHandle<T> {
  const found = handles.get(settings);
  if (found !== undefined) return found as SettingsHandle<T>; // kept with its value
  const message =
    "describe(...) is for settings that config(...) or a ConfigManager has given; a plain value, as of an override, has no sources";
  throw new StewardError("DEFINITION_INVALID", message);
}
