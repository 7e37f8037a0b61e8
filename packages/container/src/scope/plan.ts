import type { Binding } from "@steward/core";
import type { Needs, Spec } from "@steward/core/container";
import type { AnyDefinition } from "../graph/graph.ts";
import type { Bounds } from "./bounds.ts";

/** What a cached need asks for. */
export interface CachedDemand {
  readonly definition: AnyDefinition;
  readonly ttlMs: number;
  /** The key that it is cached by, and the most instances at once; `undefined` for one instance. */
  readonly keyed: { readonly binding: Binding; readonly max: number } | undefined;
}

/** What a step may ask of the scope or session that it runs in. */
export interface StepHost {
  /** Aborts when the scope ends, or when its work is given up. */
  readonly signal: AbortSignal;
  readonly isOpen: boolean;
  /** Bounds what takes its time. */
  readonly bounds: Bounds;
  /** The value that a step made before, or makes now; both at most once. */
  remember(step: Step, make: () => unknown): unknown;
  /** Forgets what is being made in a step: it has taken too long. */
  forget(step: Step): void;
  /** Enters a lifecycle generator and gives its value, or a promise of it. */
  enter(definition: AnyDefinition, generator: unknown, handler: boolean): unknown;
  /** Notes that a value has to be stopped. Once for each value, however many plans hand it out. */
  willStop(step: Step, value: unknown): void;
  /** The value of one definition; what was made already is not made again. */
  get(definition: AnyDefinition): Promise<unknown>;
  /** The values of needs. */
  resolve(needs: Needs): Promise<Record<string, unknown>>;
  /** A value of the session that this scope belongs to. */
  fromSession(definition: AnyDefinition): unknown;
  /** An instance of its own of what the container holds, for a value of `asker`; `undefined` for the handler itself. */
  instantiate(definition: AnyDefinition, asker: AnyDefinition | undefined): Promise<unknown>;
  /** An instance of a cached need, given back at the end. */
  cached(demand: CachedDemand): unknown;
  /** Starts what the container holds lazily, and gives its value. */
  lazily(index: number): Promise<unknown>;
}

/** Where a value comes from when a step needs it. */
export type Source =
  | { readonly kind: "slot"; readonly index: number }
  | { readonly kind: "application"; readonly index: number }
  | { readonly kind: "constant"; readonly value: unknown }
  | { readonly kind: "made"; readonly make: (host: StepHost) => unknown }
  | { readonly kind: "choice"; readonly condition: Source; readonly whenTrue: Source; readonly whenFalse: Source };

/** One value that a scope makes. */
export interface Step {
  readonly slot: number;
  readonly name: string;
  readonly definition: AnyDefinition | undefined;
  readonly keys: readonly string[];
  readonly sources: readonly Source[];
  /** Gives the value, or a promise of it. */
  readonly call: (needs: Readonly<Record<string, unknown>>, host: StepHost) => unknown;
  /** Releases the value when the scope ends. */
  readonly stop: Spec["stop"];
  /** True when its cleanup runs once the handler has settled, false when it runs at the scope's end. */
  readonly handler: boolean;
  /** True for a step that looks in the scope's memory first, because something may have made its value earlier. */
  readonly remembered: boolean;
}

/** How one set of needs is resolved in a scope: compiled once, run for every scope. */
export interface Plan {
  readonly keys: readonly string[];
  readonly needs: readonly unknown[];
  readonly steps: readonly Step[];
  readonly size: number;
  readonly inputs: readonly { readonly definition: AnyDefinition; readonly slot: number }[];
  /** Something that belongs to a session and is needed. */
  readonly ofSession: AnyDefinition | undefined;
  /** Slots by definition, for those who ask the scope later. */
  readonly slots: ReadonlyMap<AnyDefinition, number>;
  /** Runs the steps from one on, to their end or to the first whose value has to be waited for. */
  run: (host: StepHost, slots: unknown[], values: readonly unknown[], from: number) => Waiting | undefined;
  /** Builds the values that were asked for. */
  result: (slots: readonly unknown[], values: readonly unknown[], host: StepHost) => Record<string, unknown>;
}

/** A step whose value has to be waited for, and the number of the step behind it. */
export interface Waiting {
  readonly value: PromiseLike<unknown>;
  readonly step: Step;
  readonly next: number;
}

/** What a plan is for: a scope's first resolution, a later one that looks in the scope's memory, or that of a session itself. */
export type PlanKind = "first" | "later" | "session";
