import { isStewardError, type Clock, type StewardError } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import { describeError, publishConfig, type ApplyChange } from "@steward/core/driver";
import { configError } from "../errors.ts";
import { changedPaths, isWithin } from "./changes.ts";
import { namesOf } from "./explain.ts";
import type { Generation } from "./generation.ts";
import { LatestOnly } from "./latest-only.ts";
import { sectionPath } from "./section-path.ts";
import { Subscribers } from "./subscribers.ts";

/** What a reload has done. */
export interface ReloadResult {
  /** The generation in use. */
  readonly generation: number;
  /** Paths that have changed; empty where nothing has. */
  readonly changes: readonly string[];
  /** Those of them that need a restart of the process, for they are neither `live` nor part of a section that is in use. */
  readonly restartNeeded: readonly string[];
}

/** What reloads need of their manager. */
export interface ReloadHost {
  readonly resource: string;
  readonly clock: Clock;
  readonly prepareTimeoutMs: number;
  /** True where nothing but what is live may change. */
  readonly refuses: boolean;
  readonly isLive: (path: string) => boolean;
  readonly current: () => Generation;
  readonly read: (signal: AbortSignal) => Promise<{ readonly next: Generation; readonly warnings: readonly string[] }>;
  readonly use: (generation: Generation) => void;
  /** Aborts when the manager stops. */
  readonly signal: () => AbortSignal;
  /** Health has changed. */
  readonly noticed: () => void;
}

/** A new generation on its way into use. */
interface Change {
  readonly next: Generation;
  readonly changes: readonly string[];
}

/** Puts new settings in the place of the old ones, in two phases: everything prepares, then everything changes at once. */
export class Reloads<T> {
  readonly subscribers: Subscribers<T>;
  /** How a container applies a change; without one nothing has to be restarted for it. */
  apply: ApplyChange | undefined;
  reloads = 0;
  refused = 0;
  restartNeeded: readonly string[] = [];
  refusal: StewardError | undefined;
  readonly #host: ReloadHost;
  readonly #warned = new Set<string>();
  readonly #runs = new LatestOnly(() => this.#reload());

  constructor(host: ReloadHost) {
    this.#host = host;
    const complain = (message: string): void => this.#publish("warning", message);
    this.subscribers = new Subscribers(host.resource, host.clock, host.prepareTimeoutMs, complain);
  }

  run(): Promise<ReloadResult> {
    return this.#runs.run();
  }

  idle(): Promise<void> {
    return this.#runs.idle();
  }

  /** Says what works and should be looked at, once. */
  warn(warnings: readonly string[]): void {
    for (const message of warnings) {
      if (this.#warned.has(message)) continue;
      this.#warned.add(message);
      this.#publish("warning", message);
    }
  }

  async #reload(): Promise<ReloadResult> {
    const signal = this.#host.signal();
    try {
      const { next, warnings } = await this.#host.read(signal);
      const result = await this.#changeTo(next);
      this.warn(warnings);
      return result;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw this.#refused(error);
    }
  }

  async #changeTo(next: Generation): Promise<ReloadResult> {
    const before = this.#host.current();
    const changes = changedPaths(before.raw, next.raw);
    if (changes.length === 0) {
      this.#host.use({ ...next, number: before.number, value: before.value, since: before.since });
      this.#recovered();
      return { generation: before.number, changes, restartNeeded: [] };
    }
    this.#refuseFixed(changes);
    const value = next.value as T; // as the schema gave it
    try {
      await this.subscribers.prepare(value, changes, this.#host.signal());
      return await this.#applied({ next, changes });
    } catch (error) {
      this.subscribers.discard(value);
      throw error;
    }
  }

  #refuseFixed(changes: readonly string[]): void {
    const fixed = this.#host.refuses ? changes.filter((path) => !this.#host.isLive(path)) : [];
    if (fixed.length > 0)
      throw new Error(`${namesOf(fixed)} may not change while the process runs (onChange: "refuse"); restart it`);
  }

  /** Resolves in the tick of the change; what was replaced stops afterwards. */
  #applied(change: Change): Promise<ReloadResult> {
    const { apply } = this;
    if (apply === undefined) return Promise.resolve(this.#commit(change, []));
    const covered = new Set<string>();
    const concerns = (dependant: AnyDefinition): boolean => {
      const path = sectionPath(dependant);
      if (path !== undefined) covered.add(path);
      return path !== undefined && change.changes.some((one) => isWithin(one, path) && !this.#host.isLive(one));
    };
    return new Promise((resolve, reject) => {
      const commit = (): void => {
        const isSeen = (path: string): boolean =>
          this.#host.isLive(path) || [...covered].some((one) => isWithin(path, one));
        resolve(
          this.#commit(
            change,
            change.changes.filter((path) => !isSeen(path)),
          ),
        );
      };
      apply({ next: change.next.value, concerns, commit }, this.#host.signal()).catch(reject); // after the change it is settled
    });
  }

  #commit({ next, changes }: Change, restartNeeded: readonly string[]): ReloadResult {
    this.#host.use({ ...next, since: this.#host.clock.now() });
    this.reloads++;
    this.restartNeeded = Object.freeze([...new Set([...this.restartNeeded, ...restartNeeded])]);
    this.subscribers.commit(next.value as T); // as the schema gave it
    this.#recovered();
    this.#publish("changed", `generation ${next.number} is in use; changed: ${namesOf(changes)}`, changes);
    return { generation: next.number, changes, restartNeeded };
  }

  #recovered(): void {
    if (this.refusal === undefined) return;
    this.refusal = undefined;
    this.#host.noticed();
  }

  #refused(error: unknown): StewardError {
    const { resource } = this.#host;
    const { number } = this.#host.current();
    this.refused++;
    const isLate = isStewardError(error, "CONFIG_RELOAD_TIMEOUT");
    const message = `${resource}: the new settings are refused, generation ${number} stays in use: ${describeError(error)}`;
    this.refusal = isLate ? error : configError("CONFIG_RELOAD_REFUSED", message, { resource, cause: error });
    this.#host.noticed();
    this.#publish("refused", this.refusal.message);
    return this.refusal;
  }

  #publish(kind: "changed" | "refused" | "warning", message: string, changes: readonly string[] = []): void {
    const { resource } = this.#host;
    publishConfig({ resource, kind, generation: this.#host.current().number, changes, message });
  }
}
