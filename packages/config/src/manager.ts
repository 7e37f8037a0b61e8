import type { MetricSample } from "@steward/core";
import type { Trouble } from "@steward/core/container";
import {
  checkOptions,
  Manager,
  type ApplyChange,
  type ManagerContext,
  type StandardSchema,
} from "@steward/core/driver";
import { troubleOf, type ConfigFacts } from "./health.ts";
import { configSchema, type ConfigOptions } from "./options.ts";
import { readSchema, type Model } from "./schema/read-schema.ts";
import type { OutputOf } from "./schema/standard.ts";
import { isWithin } from "./settings/changes.ts";
import { explain, type Explanation } from "./settings/explain.ts";
import { generationOf, keysOf, overriddenIn, rawAt, type Generation } from "./settings/generation.ts";
import { handle, type SettingsHandle } from "./settings/handle.ts";
import { load, type Loaded } from "./settings/load.ts";
import { Reloads, type ReloadResult } from "./settings/reloads.ts";
import type { Subscriber } from "./settings/subscribers.ts";
import { settingsOf, type Settings } from "./settings/value.ts";
import { Watcher } from "./sources/watcher.ts";
import { prefixOf } from "./sources/source.ts";

const READ_TIMEOUT_MS = 10_000;
const PREPARE_TIMEOUT_MS = 5_000;
const DEBOUNCE_MS = 200;
const POLL_MS = 30_000;

/**
 * Looks after the settings of a process: reads them from all sources by one schema, says everything that is wrong at
 * once, and replaces them as a whole when they change.
 *
 * @example
 * ```ts
 * import { ConfigManager, env, port } from "@steward/config";
 * import * as v from "valibot";
 * const schema = v.strictObject({ port: v.optional(port(), 3000) });
 * await using manager = await new ConfigManager({ schema, sources: [env({ CLIPS_PORT: "8080" }, { prefix: "CLIPS_" })] }).start();
 * console.log(manager.client.port); // => 8080
 * ```
 */
export class ConfigManager<S extends StandardSchema>
  extends Manager<Settings<OutputOf<S>>>
  implements SettingsHandle<Settings<OutputOf<S>>>
{
  readonly #options: ConfigOptions;
  readonly #model: Model;
  readonly #reloads: Reloads<Settings<OutputOf<S>>>;
  #stop = new AbortController();
  #generation: Generation | undefined;
  #watcher: Watcher | undefined;

  /** @throws {OPTIONS_INVALID} when an option is wrong, {DEFINITION_INVALID} when the schema does not say its names. */
  constructor(options: ConfigOptions<S>, context: ManagerContext = {}) {
    super("config", context);
    this.#options = checkOptions(this.name, configSchema, options);
    this.#model = readSchema(this.name, this.#options.schema);
    for (const path of this.#options.live ?? []) explain(this.#explained, path);
    this.#reloads = new Reloads({
      resource: this.name,
      clock: this.clock,
      prepareTimeoutMs: this.#options.prepareTimeoutMs ?? PREPARE_TIMEOUT_MS,
      refuses: this.#options.onChange === "refuse",
      isLive: (path) => this.#isLive(path),
      current: () => this.#current,
      read: (signal) => this.#read(signal),
      use: (generation) => (this.#generation = generation),
      signal: () => this.#stop.signal,
      noticed: () => this.noticed(),
    });
  }

  /**
   * The settings in use, frozen. Another object after every change; what was handed out stays as it was.
   * @throws {RESOURCE_UNAVAILABLE} before they are read.
   */
  override get client(): Settings<OutputOf<S>> {
    if (this.#generation === undefined) throw this.refusal();
    return this.#generation.value as Settings<OutputOf<S>>; // as its schema gave it
  }

  /**
   * Reads all sources again. Either everything works with the new settings, or the old ones stay everywhere. A call
   * while another one runs shares the one after it.
   *
   * @throws {CONFIG_RELOAD_REFUSED} when they are wrong, or something cannot work with them.
   * @throws {CONFIG_RELOAD_TIMEOUT} when a subscriber does not prepare in time.
   * @throws {RESOURCE_UNAVAILABLE} when it is not ready.
   */
  async reload(): Promise<ReloadResult> {
    if (this.phase !== "ready") throw this.refusal();
    return this.#reloads.run();
  }

  /** Takes part in reloads; the returned function ends that. */
  subscribe(subscriber: Subscriber<Settings<OutputOf<S>>>): () => void {
    return this.#reloads.subscribers.add(subscriber);
  }

  /**
   * Where a setting comes from, or all below a path; without one, all. Secrets are masked.
   * @throws {OPTIONS_INVALID} when there is no such path.
   */
  explain(path?: string): readonly Explanation[] {
    return explain(this.#explained, path);
  }

  /** Facts without values: generation, sources, and what became of reloads. */
  override stats(): Readonly<Record<string, unknown>> & ConfigFacts {
    return Object.freeze({ phase: this.phase, ...this.#facts });
  }

  /** Facts for health documents. */
  get about(): Readonly<Record<string, unknown>> {
    return { ...this.#facts };
  }

  /** The settings that files hold now are not those in use. */
  get trouble(): Trouble | undefined {
    return troubleOf(this.#generation, this.#reloads.refusal);
  }

  /** @internal Called by a container. */
  changeThrough(apply: ApplyChange): void {
    this.#reloads.apply = apply;
  }

  protected override async onStart(signal: AbortSignal): Promise<void> {
    this.#stop = new AbortController();
    const watcher = this.#makeWatcher();
    await watcher?.prepare();
    const loaded = await this.#load(signal);
    const next = this.#make(loaded);
    if (signal.aborted) return;
    this.#generation = next;
    this.#reloads.warn(loaded.warnings);
    this.#watcher = watcher;
    watcher?.start();
  }

  protected override onProbe(): void {}

  /** A reload under way is given up: nothing will use what it would bring. */
  protected override async onDrain(): Promise<void> {
    this.#stop.abort(this.refusal());
    await this.#reloads.idle();
  }

  protected override async onStop(): Promise<void> {
    this.#watcher?.stop();
    this.#watcher = undefined;
    this.#stop.abort(this.refusal());
    await this.#reloads.idle();
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { generation, reloads, refused } = this.#facts;
    const since = this.#generation?.since ?? this.clock.now();
    const count = { name: "steward.config.reloads", kind: "counter", unit: "{reload}" } as const;
    yield { name: "steward.config.generation", kind: "gauge", unit: "1", attributes, value: generation };
    yield { ...count, attributes: { ...attributes, outcome: "changed" }, value: reloads };
    yield { ...count, attributes: { ...attributes, outcome: "refused" }, value: refused };
    const age = (this.clock.now() - since) / 1_000;
    yield { name: "steward.config.age", kind: "gauge", unit: "s", attributes, value: age };
  }

  get #current(): Generation {
    if (this.#generation === undefined) throw this.refusal();
    return this.#generation;
  }

  get #explained(): Parameters<typeof explain>[0] {
    const { sources, live = [] } = this.#options;
    const { raw, sources: read = [] } = this.#generation ?? {};
    return { model: this.#model, raw, sources: read, prefix: prefixOf(sources), live };
  }

  get #facts(): ConfigFacts {
    const generation = this.#generation;
    const { reloads, refused, restartNeeded, refusal } = this.#reloads;
    const sources = generation?.sources ?? [];
    const readAt = new Date(generation?.readAt ?? 0).toISOString();
    return {
      generation: generation?.number ?? 0,
      sources: Object.freeze(sources.map((one) => Object.freeze({ name: one.source.name, keys: keysOf(one), readAt }))),
      overridden: overriddenIn(this.#model, sources),
      reloads,
      refused,
      restartNeeded,
      refusal: refusal?.message,
    };
  }

  #isLive(path: string): boolean {
    return (this.#options.live ?? []).some((outer) => isWithin(path, outer));
  }

  #load(signal: AbortSignal): Promise<Loaded> {
    const { sources, readTimeoutMs: timeoutMs = READ_TIMEOUT_MS } = this.#options;
    return load({ model: this.#model, sources, clock: this.clock, timeoutMs, signal });
  }

  async #read(signal: AbortSignal): Promise<{ readonly next: Generation; readonly warnings: readonly string[] }> {
    const loaded = await this.#load(signal);
    return { next: this.#make(loaded), warnings: loaded.warnings };
  }

  #make(loaded: Loaded): Generation {
    const newest = (keys: readonly string[]): unknown => rawAt(this.#generation, keys);
    const value = settingsOf(loaded.value, newest, (path) => this.#isLive(path));
    handle(value, this as SettingsHandle); // of this very value
    const number = (this.#generation?.number ?? 0) + 1;
    return generationOf(loaded, { number, value, readAt: this.clock.wallNow(), since: this.clock.now() });
  }

  #makeWatcher(): Watcher | undefined {
    const { watch = false, sources } = this.#options;
    if (watch === false) return undefined;
    const { debounceMs = DEBOUNCE_MS, pollMs = POLL_MS } = watch === true ? {} : watch;
    const files = sources.flatMap((source) => source.files);
    const onChange = (): void => void this.reload().catch(() => {}); // health and the channel say it
    return new Watcher({ clock: this.clock, files, debounceMs, pollMs, onChange });
  }
}
