import type { LastProbe, Managed, ManagerCall, Phase, Spec, Trouble } from "@steward/core";

interface Shared {
  readonly manager: Managed;
  users: number;
  /** The last change asked for; starts and stops of one resource never overlap. */
  change: Promise<unknown>;
}

const KEY = Symbol.for("steward.process");

/** Two copies of this package share one table. */
function sharedTable(): Map<Spec, Shared> {
  const holder = globalThis as { [KEY]?: Map<Spec, Shared> }; // one process, one table
  return (holder[KEY] ??= new Map<Spec, Shared>());
}

/** A container's share of a `process` resource: the first start starts it, the last stop stops it. */
class Share implements Managed {
  readonly #spec: Spec;
  readonly #make: () => Managed;
  #shared: Shared | undefined;
  #held = false;

  constructor(spec: Spec, make: () => Managed) {
    this.#spec = spec;
    this.#make = make;
  }

  get client(): unknown {
    return this.#share().manager.client;
  }

  get phase(): Phase {
    return this.#shared?.manager.phase ?? "idle";
  }

  get lastProbe(): LastProbe | undefined {
    return this.#shared?.manager.lastProbe;
  }

  get trouble(): Trouble | undefined {
    return this.#shared?.manager.trouble;
  }

  get leftBehind(): boolean {
    return this.#shared?.manager.leftBehind === true;
  }

  async start(call?: ManagerCall): Promise<void> {
    if (this.#held) return;
    const shared = this.#share();
    sharedTable().set(this.#spec, shared);
    this.#held = true;
    shared.users++;
    try {
      await this.#change(shared, () => shared.manager.start(call));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async drain(call?: ManagerCall): Promise<void> {
    if (this.#held && this.#shared?.users === 1) await this.#shared.manager.drain(call);
  }

  async stop(call?: ManagerCall): Promise<void> {
    const shared = this.#shared;
    if (!this.#held || shared === undefined) return;
    this.#held = false;
    if (--shared.users > 0) return;
    sharedTable().delete(this.#spec);
    await this.#change(shared, () => shared.manager.stop(call));
  }

  async probe(call?: ManagerCall): Promise<void> {
    await this.#share().manager.probe(call);
  }

  async renew(): Promise<void> {
    await this.#share().manager.renew();
  }

  stats(): Readonly<Record<string, unknown>> {
    return { ...this.#share().manager.stats(), users: this.#shared?.users ?? 0 };
  }

  /** The one in use, the one of last time, or a new one. */
  #share(): Shared {
    if (this.#held && this.#shared !== undefined) return this.#shared;
    this.#shared = sharedTable().get(this.#spec) ??
      this.#shared ?? { manager: this.#make(), users: 0, change: Promise.resolve() };
    return this.#shared;
  }

  #change(shared: Shared, move: () => Promise<unknown>): Promise<unknown> {
    const change = shared.change.catch(() => {}).then(move);
    return (shared.change = change);
  }
}

/** This container's share of the `process` resource that `spec` defines; `make` makes it where there is none yet. */
export function shareInProcess(spec: Spec, make: () => Managed): Managed {
  return new Share(spec, make);
}
