import { StewardError } from "../errors.ts";
import type { Clock } from "../time/clock.ts";
import type { AnyDefinition, StartContext, StopContext } from "./types.ts";
import type { RerunOptions, ResourceSettings } from "./settings.ts";
import type { CallDefaults } from "./defaults.ts";
import type { Lifetime, Need, Needs } from "./need.ts";
import type { ResourceGuardOptions } from "../guard/options.ts";
import type { CallSummary, PassiveEvidence } from "../health/tracker.ts";
import type { LifecycleState } from "../lifecycle/lifecycle.ts";
import type { Phase } from "../lifecycle/phase.ts";
import type { LastProbe } from "../health/probing.ts";
import type { MetricSample } from "../ports/metrics.ts";
import type { OptionsProblem } from "../options/problems.ts";

/** Background work of a resource. It ends when its signal aborts. */
export type Background<Value, Values> = (
  needs: Values,
  context: { readonly signal: AbortSignal; readonly value: Value },
) => Promise<unknown>;

/** Why a resource is not well. */
export interface Trouble {
  readonly status: "degraded" | "unhealthy";
  readonly reason: string;
}

/** A value that takes the place of another while its resource stays as it is, such as the next state of a configuration. */
export interface ValueChange {
  readonly next: unknown;
  /** Whether a definition that needs the resource has to be made anew for it, and so all that hold that one. */
  readonly concerns: (dependant: AnyDefinition) => boolean;
  /** Called once all that is up, in the tick in which it comes in use. When something does not start, it is not called. */
  readonly commit: () => void;
}

/** Carries out a change of a value as a whole, or rejects. */
export type ApplyChange = (change: ValueChange, signal: AbortSignal) => Promise<void>;

/** What a container looks after: the object of a driver package, with one shape for all of them. */
export interface ManagedResource<Client = unknown> {
  /** What users are handed. It exists before the start, keeps its identity, and refuses calls while not ready. */
  readonly client: Client;
  /** True while a start that was given up still runs, because it ignores its signal. */
  readonly startAbandoned?: boolean;
  /** Where it is in its life. */
  readonly phase?: Phase;
  /** The same with its data, such as since when. */
  readonly state?: LifecycleState | undefined;
  /** Why it is down, also while it is tried again; `undefined` when it is not. */
  readonly failure?: unknown;
  /** What real calls show of it. */
  readonly passive?: PassiveEvidence;
  /** Why it is not well although it is ready, as far as it knows without being asked; `undefined` when it is. */
  readonly trouble?: Trouble | undefined;
  /** Numbers of its calls; `undefined` where it does not see them. */
  readonly calls?: CallSummary | undefined;
  /** How the last probe went. */
  readonly lastProbe?: LastProbe | undefined;
  /** Facts for its health documents, such as where its value comes from. Never a secret. */
  readonly about?: Readonly<Record<string, unknown>> | undefined;
  /** Called once by a container: from here on the value changes only through `apply`. */
  changeThrough?(apply: ApplyChange): void;
  start(options?: { readonly signal?: AbortSignal | undefined }): Promise<unknown>;
  drain(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  stop(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  probe(options?: {
    readonly signal?: AbortSignal | undefined;
    readonly timeoutMs?: number | undefined;
  }): Promise<void>;
  renew(): Promise<void>;
  /** Lets one call try at once, because a probe was answered. */
  answers?(): void;
  /** Calls `listener` whenever real calls have shown something new; the returned function ends that. */
  listen?(listener: () => void): () => void;
  stats(): Readonly<Record<string, unknown>>;
  metrics?(): Iterable<MetricSample>;
}

/** How a managed resource is made. */
export interface ManagedSpec {
  /** The kind of driver, such as `redis`. */
  readonly driver: string;
  /** Problems of literal options, found when the definition was made. */
  readonly problems: readonly OptionsProblem[];
  /** True for what is up before anything else of a container starts that it does not need, such as a configuration. */
  readonly first?: boolean | undefined;
  /**
   * Checks derived options, and those that the container gives where none were given, as soon as the needs are ready and
   * before anything connects. Throws `OPTIONS_INVALID`.
   */
  readonly prepare: (needs: Readonly<Record<string, unknown>>, defaults?: CallDefaults) => unknown;
  /** Makes the manager from what `prepare` gave. No I/O. */
  readonly create: (options: unknown, context: { readonly name: string; readonly clock: Clock }) => ManagedResource;
}

/** What a definition says, without its types. For containers; users have no use for it. */
export interface Spec {
  readonly kind: "plain" | "input" | "managed";
  readonly name: string;
  readonly lifetime: Lifetime;
  readonly needs: Needs;
  readonly settings: ResourceSettings;
  /** True when `start` is a lifecycle generator. */
  readonly generator: boolean;
  readonly start?: ((needs: Readonly<Record<string, unknown>>, context: StartContext) => unknown) | undefined;
  readonly stop?: ((value: unknown, context: StopContext) => unknown) | undefined;
  readonly drain?: ((value: unknown, context: StopContext) => unknown) | undefined;
  readonly run?: Background<unknown, Readonly<Record<string, unknown>>> | undefined;
  readonly rerun?: RerunOptions | undefined;
  readonly probe?: ((value: unknown, context: StopContext) => unknown) | undefined;
  /** Bounds of the guard that uses of its value pass; `undefined`: there is none. */
  readonly guard?: ResourceGuardOptions | undefined;
  readonly enabled?: boolean | ((needs: Readonly<Record<string, unknown>>) => boolean) | undefined;
  readonly managed?: ManagedSpec | undefined;
  /** Set where it stands for another definition, with other needs. */
  readonly variant?: Variant | undefined;
}

/** A definition in another's stead. For frameworks, which give one dependency different needs by who asks for it. */
export interface Variant {
  /** The definition that the user wrote; what overrides it overrides its variants too. */
  readonly original: AnyDefinition;
  /** Makes the same variant of whatever overrides it. */
  readonly remake: (replacement: AnyDefinition) => AnyDefinition;
}

/** An edge, without its types. For containers. */
export type EdgeSpec =
  | {
      readonly kind: "plain" | "lazy" | "fresh" | "current";
      readonly target: AnyDefinition;
      readonly optional: boolean;
    }
  | {
      readonly kind: "cached";
      readonly target: AnyDefinition;
      readonly ttlMs: number;
      /** The input that instances are cached by, and how many there may be; `undefined` for one instance. */
      readonly keyed?: { readonly input: AnyDefinition; readonly max: number } | undefined;
      readonly optional: boolean;
    }
  | {
      readonly kind: "when";
      readonly condition: AnyDefinition;
      /** Whether the value of the condition chooses `whenTrue`. */
      readonly test: (value: unknown) => boolean;
      readonly whenTrue: EdgeSpec;
      readonly whenFalse: EdgeSpec;
      readonly optional: boolean;
    };

const SPEC = Symbol.for("steward.spec");
const EDGE = Symbol.for("steward.edge");

/** Makes the definition of a spec. */
export function makeDefinition<D extends AnyDefinition>(spec: Spec): D {
  if (typeof spec.name !== "string" || spec.name === "")
    throw new StewardError("DEFINITION_INVALID", "a resource needs a name that is not empty");
  return { name: spec.name, lifetime: spec.lifetime, [SPEC]: spec } as unknown as D; // the types a definition carries have no value
}

/** The same definition with other needs. For frameworks. */
export function variantOf(of: AnyDefinition, needs: Needs, like: Variant["remake"]): AnyDefinition {
  return makeDefinition({
    ...specOf(of),
    needs: snapshotNeeds(of.name, needs),
    variant: { original: originOf(of), remake: like },
  });
}

/** The definition that the user wrote: that of a variant, or itself. */
export function originOf(definition: AnyDefinition): AnyDefinition {
  return specOf(definition).variant?.original ?? definition;
}

/** Makes a need of an edge. */
export function needOf<N extends Need>(spec: EdgeSpec): N {
  return { [EDGE]: spec } as unknown as N; // as above
}

/** Whether a value is a definition. */
export function isDefinition(value: unknown): value is AnyDefinition {
  return typeof value === "object" && value !== null && SPEC in value;
}

/** What a definition says. For containers. */
export function specOf(definition: AnyDefinition): Spec {
  return (definition as unknown as { [SPEC]: Spec })[SPEC]; // every definition is made by `register`
}

/** A need as an edge: a bare definition is a plain one. For containers. */
export function edgeOf(need: Need): EdgeSpec {
  if (isDefinition(need)) return { kind: "plain", target: need, optional: false };
  return (need as unknown as { [EDGE]: EdgeSpec })[EDGE]; // every other need is made by `edge`
}

/** Whether a value may stand in `needs`: a definition, or an edge made of one. */
export function isNeed(value: unknown): value is Need {
  return isDefinition(value) || (typeof value === "object" && value !== null && EDGE in value);
}

/** Copies and checks needs, so that a later change of the object changes nothing. */
export function snapshotNeeds(name: string, needs: Needs | undefined): Needs {
  for (const [key, need] of Object.entries(needs ?? {})) {
    if (isNeed(need)) continue;
    const hint =
      need === undefined
        ? "it is undefined, most often because two modules import each other"
        : `it is ${typeof need}, not a definition`;
    throw new StewardError("NEED_INVALID", `resource "${name}" cannot need "${key}": ${hint}`, { resource: name });
  }
  return Object.freeze({ ...needs });
}
