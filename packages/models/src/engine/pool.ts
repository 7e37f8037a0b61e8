import type { Clock } from "@steward/core";
import { modelError } from "../errors.ts";
import type { Engine } from "./engine.ts";
import type { Tensors } from "./tensor.ts";

/** How the engines of one model are kept. */
export interface PoolOptions {
  readonly resource: string;
  readonly clock: Clock;
  /** Loads one more. */
  readonly open: (signal: AbortSignal) => Promise<Engine>;
  /** Longest run before its engine is ended, in ms; `undefined` where an engine cannot be cut off. */
  readonly runTimeoutMs: number | undefined;
  /** An engine ended, or one was loaded in its place. */
  readonly onChange: () => void;
}

const REOPEN_MS = { least: 50, most: 5_000 };
const CLOSE_MS = 4_000;

/** Engines that hold the same model. One that ends is loaded anew; what waits for one waits meanwhile. */
export class EnginePool {
  readonly #options: PoolOptions;
  readonly #engines = new Set<Engine>();
  readonly #idle: Engine[] = [];
  readonly #waiters: ((engine: Engine) => void)[] = [];
  readonly #runs = new Map<Engine, number>();
  readonly #abort = new AbortController();
  readonly #reopening = new Set<Promise<void>>();
  #restarts = 0;
  #failure: unknown;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Engines that are loaded. */
  get size(): number {
    return this.#engines.size;
  }

  /** How often one was loaded in the place of one that had ended. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Why none could be loaded in the place of one that ended; `undefined` while all is well. */
  get failure(): unknown {
    return this.#failure;
  }

  /** When the oldest run that still works began, in ms of the clock. */
  get oldestRunAt(): number {
    return Math.min(...this.#runs.values());
  }

  /** Takes an engine that is ready. */
  add(engine: Engine): void {
    this.#engines.add(engine);
    void engine.ended.then(() => this.#lost(engine));
    this.#free(engine);
  }

  /** Runs once, on the engine that has been idle longest. The signal is asked for only where there is none that is idle. */
  async run(feeds: Tensors, signal?: () => AbortSignal): Promise<Tensors> {
    const engine = this.#idle.shift() ?? (await this.#wait(signal?.()));
    const { clock, runTimeoutMs, resource } = this.#options;
    this.#runs.set(engine, clock.now());
    let isLate = false;
    const cut = (): void => {
      isLate = true;
      engine.kill();
    };
    const timer = runTimeoutMs === undefined ? undefined : clock.setTimeout(cut, runTimeoutMs);
    try {
      return await engine.run(feeds);
    } catch (error) {
      if (!isLate) throw error;
      throw modelError(
        "MODEL_ENGINE_CRASHED",
        resource,
        `a run took more than ${runTimeoutMs} ms; its engine was ended`,
        { retryable: true, cause: error },
      );
    } finally {
      timer?.cancel();
      this.#runs.delete(engine);
      if (this.#engines.has(engine)) this.#free(engine);
    }
  }

  #wait(signal: AbortSignal | undefined): Promise<Engine> {
    return new Promise((resolve, reject) => {
      const take = (engine: Engine): void => {
        signal?.removeEventListener("abort", drop);
        resolve(engine);
      };
      const drop = (): void => {
        const at = this.#waiters.indexOf(take);
        if (at >= 0) this.#waiters.splice(at, 1);
        reject(signal?.reason);
      };
      if (signal?.aborted === true) return reject(signal.reason);
      this.#waiters.push(take);
      signal?.addEventListener("abort", drop, { once: true });
    });
  }

  #free(engine: Engine): void {
    const next = this.#waiters.shift();
    if (next === undefined) this.#idle.push(engine);
    else next(engine);
  }

  #lost(engine: Engine): void {
    if (!this.#engines.delete(engine)) return;
    const at = this.#idle.indexOf(engine);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#abort.signal.aborted) return;
    this.#options.onChange();
    const reopening = this.#reopen().finally(() => this.#reopening.delete(reopening));
    this.#reopening.add(reopening);
  }

  async #reopen(): Promise<void> {
    const { open, clock, onChange } = this.#options;
    const { signal } = this.#abort;
    for (let pauseMs = REOPEN_MS.least; !signal.aborted; pauseMs = Math.min(2 * pauseMs, REOPEN_MS.most)) {
      try {
        const engine = await open(signal);
        if (signal.aborted) return void (await engine.close(CLOSE_MS));
        this.#failure = undefined;
        this.#restarts++;
        this.add(engine);
        return onChange();
      } catch (error) {
        this.#failure = error;
        onChange();
        await clock.sleep(pauseMs, signal).catch(() => {});
      }
    }
  }

  /** Ends all engines, each after its run. */
  async close(): Promise<void> {
    this.#abort.abort(modelError("MODEL_ENGINE_CRASHED", this.#options.resource, "stopping"));
    const engines = [...this.#engines];
    this.#engines.clear();
    this.#idle.length = 0;
    const ends = await Promise.allSettled([...engines.map((engine) => engine.close(CLOSE_MS)), ...this.#reopening]);
    const failed = ends.find((end) => end.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}
