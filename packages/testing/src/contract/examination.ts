import { isStewardError, type Phase } from "@steward/core";
import { describeError, type Manager, type ManagerContext } from "@steward/core/driver";
import type { ContractAssert, ContractFactory } from "./factory.ts";
import { trackHandles } from "../leaks.ts";
import type { FaultProxy } from "../proxy/proxy.ts";

/** How a promise ended. */
export type Outcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

/** One case of a contract suite. */
export interface ContractCase {
  readonly name: string;
  /** What the factory must give for this case to make sense. */
  readonly needs?: "use" | "places" | "proxy" | "ends";
  readonly run: (examine: Examination) => Promise<void>;
}

/** What a case does with a manager, in the words of the cases. Makes managers, and checks that they leave nothing. */
export class Examination {
  readonly assert: ContractAssert;
  readonly #factory: ContractFactory;
  readonly #handles = trackHandles();
  readonly #made: Manager<unknown>[] = [];
  #broke = false;

  constructor(assert: ContractAssert, factory: ContractFactory) {
    this.assert = assert;
    this.#factory = factory;
  }

  /** A fresh manager. */
  async fresh(context: ManagerContext = {}): Promise<Manager<unknown>> {
    const manager = await this.#factory.create({ name: "examined", ...context });
    this.#made.push(manager);
    return manager;
  }

  /** A fresh manager that was started. */
  async ready(context: ManagerContext = {}): Promise<Manager<unknown>> {
    const manager = await this.fresh(context);
    await manager.start();
    this.phase(manager, "ready");
    return manager;
  }

  /** One successful call; only for cases that need `use`. */
  use(manager: Manager<unknown>): Promise<unknown> {
    return Promise.resolve(this.#factory.use?.(manager));
  }

  /** How many calls it makes at once; only for cases that need `places`. */
  get places(): number {
    return this.#factory.places ?? 0;
  }

  /** The client's own ways to end it; only for cases that need `ends`. */
  ends(manager: Manager<unknown>): readonly (() => unknown)[] {
    return this.#factory.ends?.(manager) ?? [];
  }

  /** The way to the remote, to be broken; only for cases that need `proxy`. */
  get proxy(): FaultProxy {
    if (this.#factory.proxy === undefined) throw new TypeError("this case needs a proxy");
    this.#broke = true;
    return this.#factory.proxy;
  }

  phase(manager: Manager<unknown>, ...expected: readonly Phase[]): void {
    const { phase } = manager;
    this.assert.ok(expected.includes(phase), `phase is ${phase}, expected ${expected.join(" or ")}`);
  }

  /** Waits for the end, whichever. */
  async outcome(promise: Promise<unknown>): Promise<Outcome> {
    try {
      return { ok: true, value: await promise };
    } catch (error) {
      return { ok: false, error };
    }
  }

  /** Checks that the promise rejects with the code. */
  async refused(promise: Promise<unknown>, code: string): Promise<void> {
    const outcome = await this.outcome(promise);
    const got = outcome.ok ? "it succeeded" : describeError(outcome.error);
    this.assert.ok(!outcome.ok && isStewardError(outcome.error, code), `expected ${code}: ${got}`);
  }

  /** Checks that a call was refused because of that phase, which passes unless it is the last one. */
  async turnedAway(call: Promise<unknown>, phase: "not started" | "draining" | "stopping" | "stopped"): Promise<void> {
    await this.refused(call, "RESOURCE_UNAVAILABLE");
    const outcome = await this.outcome(call);
    if (outcome.ok || !isStewardError(outcome.error)) return;
    const { message, retryable } = outcome.error;
    this.assert.strictEqual(message, `examined: ${phase}`);
    this.assert.strictEqual(retryable, phase !== "stopped", `retryable while it is ${phase}`);
  }

  /** Runs a case, then stops what it left running and checks that nothing stays open. */
  async run(examine: (self: Examination) => Promise<void>): Promise<void> {
    try {
      await examine(this);
    } catch (error) {
      // The case's own failure counts, whatever the cleaning up meets.
      await this.#clean().catch(() => undefined);
      throw error;
    }
    await this.#clean();
    for (const manager of this.#made) this.phase(manager, "stopped");
    await this.#handles.assertNoLeaks();
  }

  async #clean(): Promise<void> {
    if (this.#broke) await this.#factory.proxy?.heal();
    await Promise.all(this.#made.map((manager) => manager.stop()));
    // Only where faults left silent connections behind: a reset would hide what a manager left open.
    if (this.#broke) this.#factory.proxy?.reset();
  }
}

/** Makes `onStop` do something else on one manager; gives back a function that runs the real one. */
export function replaceOnStop(
  manager: Manager<unknown>,
  onStop: (signal: AbortSignal) => Promise<void>,
): (signal: AbortSignal) => Promise<void> {
  // `onStop` is protected: drivers offer no way to make it fail, and the contract is about just that.
  const hooks = manager as unknown as { onStop: (signal: AbortSignal) => Promise<void> | void };
  const real = hooks.onStop.bind(manager);
  hooks.onStop = onStop;
  return async (signal) => real(signal);
}
