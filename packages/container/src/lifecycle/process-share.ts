import type { Phase } from "@steward/core";
import type {
  CallSummary,
  LastProbe,
  LifecycleState,
  ManagedResource,
  ManagerCall,
  Spec,
  Trouble,
} from "@steward/core/container";

/** One instance of a `process` resource. */
interface Shared {
  readonly spec: Spec;
  /** What its needs and inputs resolve to. */
  readonly key: readonly unknown[];
  readonly manager: ManagedResource;
  users: number;
  /** The last change asked for; starts and stops of one instance never overlap. */
  change: Promise<unknown>;
}

const TABLE = Symbol.for("steward.process");

/** Two copies of this package share one table. */
function sharedTable(): Map<Spec, Shared[]> {
  const holder = globalThis as { [TABLE]?: Map<Spec, Shared[]> }; // one process, one table
  return (holder[TABLE] ??= new Map<Spec, Shared[]>());
}

function find(spec: Spec, key: readonly unknown[]): Shared | undefined {
  return sharedTable()
    .get(spec)
    ?.find((shared) => shared.key.length === key.length && shared.key.every((part, i) => Object.is(part, key[i])));
}

function put(shared: Shared): void {
  take(find(shared.spec, shared.key));
  sharedTable().set(shared.spec, [...(sharedTable().get(shared.spec) ?? []), shared]);
}

function take(shared: Shared | undefined): void {
  if (shared === undefined) return;
  const left = (sharedTable().get(shared.spec) ?? []).filter((one) => one !== shared);
  if (left.length === 0) sharedTable().delete(shared.spec);
  else sharedTable().set(shared.spec, left);
}

/** A container's share of a `process` resource: the first start starts it, the last stop stops it. */
export class ProcessShare implements ManagedResource {
  readonly #spec: Spec;
  readonly #key: readonly unknown[];
  readonly #make: () => ManagedResource;
  readonly #anew: boolean;
  /** What this one took the place of; it comes back when this one ends first. */
  #replaced: Shared | undefined;
  #shared: Shared | undefined;
  #held = false;
  /** The stop of the instance, where this one was its last user. */
  #stopping: Promise<unknown> | undefined;

  constructor(spec: Spec, key: readonly unknown[], make: () => ManagedResource, anew: boolean) {
    this.#spec = spec;
    this.#key = key;
    this.#make = make;
    this.#anew = anew;
  }

  /** The instance itself, to compare and to look at; its users start and stop their share. */
  get inner(): ManagedResource {
    return this.#share().manager;
  }

  /** How many other containers hold the same instance. */
  get otherUsers(): number {
    return (this.#shared?.users ?? 0) - (this.#held ? 1 : 0);
  }

  get client(): unknown {
    return this.#share().manager.client;
  }

  get phase(): Phase {
    return this.#shared?.manager.phase ?? "idle";
  }

  get state(): LifecycleState | undefined {
    return this.#shared?.manager.state;
  }

  get calls(): CallSummary | undefined {
    return this.#shared?.manager.calls;
  }

  get lastProbe(): LastProbe | undefined {
    return this.#shared?.manager.lastProbe;
  }

  get trouble(): Trouble | undefined {
    return this.#shared?.manager.trouble;
  }

  get startAbandoned(): boolean {
    return this.#shared?.manager.startAbandoned === true;
  }

  async start(call?: ManagerCall): Promise<void> {
    const shared = this.#share();
    if (!this.#held) {
      if (this.#anew) this.#replaced = find(this.#spec, this.#key);
      put(shared);
      this.#held = true;
      this.#stopping = undefined;
      shared.users++;
    }
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

  /** All callers share one outcome: what the instance was made from stops after it. */
  async stop(call?: ManagerCall): Promise<void> {
    const shared = this.#shared;
    if (!this.#held || shared === undefined) return void (await this.#stopping);
    this.#held = false;
    if (--shared.users > 0) return;
    const isKnown = find(this.#spec, this.#key) === shared;
    if (isKnown) take(shared);
    if (isKnown && this.#replaced !== undefined && this.#replaced.users > 0) put(this.#replaced);
    this.#replaced = undefined;
    await (this.#stopping = this.#change(shared, () => shared.manager.stop(call)));
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
    const known = this.#anew ? undefined : find(this.#spec, this.#key);
    this.#shared = known ?? this.#shared ?? this.#new();
    return this.#shared;
  }

  #new(): Shared {
    return { spec: this.#spec, key: this.#key, manager: this.#make(), users: 0, change: Promise.resolve() };
  }

  #change(shared: Shared, move: () => Promise<unknown>): Promise<unknown> {
    const change = shared.change.catch(() => {}).then(move);
    return (shared.change = change);
  }
}
