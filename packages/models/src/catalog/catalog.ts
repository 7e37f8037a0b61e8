import { readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "@steward/core";
import { describeError, outsideRequests } from "@steward/core/driver";
import { modelError, unknownModel } from "../errors.ts";
import { ModelManager } from "../manager.ts";
import type { CatalogOptions } from "../options.ts";
import type { Model } from "../serving/model.ts";
import { locate } from "./source.ts";

/** What one use of a model may ask for. */
export interface CatalogUse {
  /** Which version. Default: the highest number. */
  readonly version?: number | undefined;
}

/** A model that is loaded, for stats. */
export interface LoadedModel {
  readonly name: string;
  /** Uses that run now. */
  readonly leases: number;
  /** What it counts for in the budget. */
  readonly bytes: number;
  readonly [more: string]: unknown;
}

/** Models by name, loaded when they are first used, within a bound of memory: what users hold. */
export interface ModelCatalog {
  /** Names of all models in the folder. */
  names(): Promise<readonly string[]>;
  /**
   * Loads a model where it is not loaded, and hands it to `work`. It stays loaded until `work` has settled; afterwards it may
   * make room for others, the one unused for longest first.
   *
   * @throws {MODEL_UNKNOWN} when there is no such model or version.
   * @throws {MODEL_BUDGET} when it does not fit beside those in use.
   * @throws what a model's start throws: see the README.
   */
  use<T>(name: string, work: (model: Model) => Promise<T> | T, options?: CatalogUse): Promise<T>;
}

/** One model of the catalog, and who uses it. */
interface Entry {
  readonly key: string;
  readonly name: string;
  readonly bytes: number;
  readonly manager: ModelManager;
  /** One start, however many ask. */
  readonly started: Promise<ModelManager>;
  leases: number;
  /** A count that grows with every use. */
  usedAt: number;
}

/** What a catalog needs to know. */
export interface ShelfOptions {
  readonly resource: string;
  readonly clock: Clock;
  readonly folder: string;
  readonly budgetBytes: number;
  readonly workers: number;
  readonly startTimeoutMs: number;
  /** Options that every model is loaded with. */
  readonly serving: Omit<CatalogOptions, "folder" | "budgetBytes">;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** The models that are loaded. What is reserved never goes past the budget, whatever is loaded, used and evicted at once. */
export class Shelf {
  readonly #options: ShelfOptions;
  readonly #entries = new Map<string, Entry>();
  /** Models that are being unloaded; they count until their memory is free. */
  readonly #leaving = new Map<Promise<void>, number>();
  #uses = 0;
  #evictions = 0;
  #peakBytes = 0;

  constructor(options: ShelfOptions) {
    this.#options = options;
  }

  get evictions(): number {
    return this.#evictions;
  }

  /** Bytes that are reserved now. */
  get bytes(): number {
    return sum([...this.#entries.values()].map(({ bytes }) => bytes)) + sum(this.#leaving.values());
  }

  /** The most that was ever reserved. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  loaded(): readonly LoadedModel[] {
    return [...this.#entries.values()].map(({ name, leases, bytes, manager }) => {
      const { version, device, precision, maxError, phase } = manager.stats();
      return { name, version, bytes, device, precision, maxError, phase, leases };
    });
  }

  managers(): readonly ModelManager[] {
    return [...this.#entries.values()].map(({ manager }) => manager);
  }

  async names(): Promise<readonly string[]> {
    const { folder, resource } = this.#options;
    const found = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
      throw modelError("MODEL_UNKNOWN", resource, `${folder} cannot be read: ${describeError(cause)}`, { cause });
    });
    return found
      .filter((entry) => entry.isDirectory() && NAME.test(entry.name))
      .map(({ name }) => name)
      .sort();
  }

  async use<T>(name: string, work: (model: Model) => Promise<T> | T, { version }: CatalogUse): Promise<T> {
    const entry = await this.#lease(name, version);
    try {
      return await work((await this.#started(entry)).client);
    } finally {
      entry.leases--;
      entry.usedAt = ++this.#uses;
    }
  }

  /** A lease is taken in the same turn as the entry is found, so nothing evicts it in between. */
  async #lease(name: string, version: number | undefined): Promise<Entry> {
    const key = `${name} ${version ?? "latest"}`;
    const known = this.#entries.get(key);
    if (known !== undefined) return taken(known);
    const bytes = await this.#sizeOf(name, version);
    for (;;) {
      const other = this.#entries.get(key);
      if (other !== undefined) return taken(other);
      if (this.bytes + bytes <= this.#options.budgetBytes) return taken(this.#add(key, name, version, bytes));
      await this.#room(name, bytes);
    }
  }

  async #sizeOf(name: string, version: number | undefined): Promise<number> {
    const { resource, folder, workers, serving } = this.#options;
    const names = await this.names();
    if (!names.includes(name)) throw unknownModel(resource, "model", name, names);
    const inside = await realpath(join(folder, name));
    const { files } = await locate(`${resource} ${name}`, { folder: inside, version: version ?? "latest" });
    const wanted = serving.precision === undefined ? undefined : files[serving.precision];
    return (wanted?.bytes ?? Math.max(...Object.values(files).map(({ bytes }) => bytes))) * workers;
  }

  #add(key: string, name: string, version: number | undefined, bytes: number): Entry {
    const { resource, clock, folder, serving, startTimeoutMs } = this.#options;
    const { compute } = serving;
    const source = { folder: join(folder, name), ...(version === undefined ? {} : { version }) };
    const options = { ...serving, ...(compute === undefined ? { source } : {}) };
    // The request that asks first may be over before another uses the model: it must not end what others run.
    const manager = outsideRequests(
      () => new ModelManager(options, { name: `${resource} ${name}`, clock, startTimeoutMs }),
    );
    const started = outsideRequests(() => manager.start());
    started.catch(() => {}); // each of those that use it gets it
    const entry: Entry = { key, name, bytes, manager, started, leases: 0, usedAt: ++this.#uses };
    this.#entries.set(key, entry);
    this.#peakBytes = Math.max(this.#peakBytes, this.bytes);
    return entry;
  }

  async #started(entry: Entry): Promise<ModelManager> {
    try {
      return await entry.started;
    } catch (error) {
      if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key); // the next use tries again
      throw error;
    }
  }

  /** Makes room, or waits for room that is being made. */
  async #room(name: string, bytes: number): Promise<void> {
    const idle = [...this.#entries.values()].filter(({ leases }) => leases === 0).sort((a, b) => a.usedAt - b.usedAt);
    const [oldest] = idle;
    const couldFit = bytes <= this.#options.budgetBytes;
    if (couldFit && oldest !== undefined) return this.#evict(oldest);
    if (couldFit && this.#leaving.size > 0) return void (await Promise.race(this.#leaving.keys()));
    const { resource, budgetBytes } = this.#options;
    const holders = [...this.#entries.values()].map((entry) => `${entry.name} ${entry.bytes} (${entry.leases} uses)`);
    const message = `${name} needs ${bytes} bytes of the budget of ${budgetBytes}; in use: ${holders.join(", ") || "nothing"}`;
    throw modelError("MODEL_BUDGET", resource, message, { retryable: couldFit });
  }

  async #evict(entry: Entry): Promise<void> {
    this.#evictions++;
    await this.#leave(entry);
  }

  async #leave(entry: Entry): Promise<void> {
    this.#entries.delete(entry.key);
    const left = entry.manager
      .stop()
      .catch(() => {})
      .finally(() => this.#leaving.delete(left));
    this.#leaving.set(left, entry.bytes);
    await left;
  }

  /** Unloads all. */
  async clear(): Promise<void> {
    await Promise.all([...this.#entries.values()].map((entry) => this.#leave(entry)));
    await Promise.all(this.#leaving.keys());
  }
}

function taken(entry: Entry): Entry {
  entry.leases++;
  return entry;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
