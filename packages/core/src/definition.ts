import { StewardError } from "./errors.ts";
import { isGeneratorFunction, type AfterReply } from "./generator.ts";
import {
  isDefinition,
  register,
  type Background,
  type Criticality,
  type Readiness,
  type RerunOptions,
  type Spec,
} from "./spec.ts";
import { snapshotNeeds } from "./spec.ts";
import type { CheckedNeeds, HeldLifetime, Lifetime, Need, Needs, OpenOfAll, ReachFor, ValuesOf } from "./need.ts";

/**
 * A value that says what a resource is: its name, what it needs, how long it lives, how it starts and stops.
 *
 * Definitions refer to one another, so they are the graph; nothing is registered anywhere. The type carries the
 * value, how long it may be held, and the inputs that are still open; it never carries the needs.
 */
export interface Definition<
  out Value,
  out R extends string = "application",
  out Open extends string = never,
> extends Need<Value, R, Open> {
  /** Unique in a container; what errors, stats and `byName` say. */
  readonly name: string;
  readonly lifetime: Lifetime;
}

/** A definition whose value comes from outside: the request, a clock, what a caller hands over. */
export interface InputDefinition<Value, L extends HeldLifetime, Open extends string> extends Definition<
  Value,
  L,
  Open
> {
  /** The input with its value, to be given when a container starts or a scope opens. */
  is(value: Value): Binding<Open>;
}

/** An input with its value. */
export interface Binding<out Open extends string = string> {
  readonly input: Definition<unknown, string, Open>;
  readonly value: unknown;
}

/** What a resource is told about its start. */
export interface StartContext {
  /** Aborts when a sibling failed, when the start timeout ran out, or when a stop was asked for. */
  readonly signal: AbortSignal;
}

/** What a resource is told about its end. */
export interface StopContext {
  /** Aborts when the time for it has run out. */
  readonly signal: AbortSignal;
}

/** The value of a resource, from what its `start` returns: awaited, or what a lifecycle generator yields. */
export type Started<R> = R extends AsyncGenerator<infer Y, unknown, never> | Generator<infer Y, unknown, never>
  ? Exclude<Y, AfterReply>
  : Awaited<R>;

/** How the start of a critical resource is tried again, where its error may pass. */
export interface StartRetryOptions {
  /** Attempts in all, the first included. Default 10. */
  readonly maxAttempts?: number | undefined;
  /** Ceiling of the delay before the second attempt, in ms; it doubles with every attempt. Default 250. */
  readonly baseDelayMs?: number | undefined;
  /** Ceiling of every delay, in ms. Default 1,500: with the other defaults an attempt is made for 5 to 11 s. */
  readonly maxDelayMs?: number | undefined;
}

/** What every resource can say of itself, whatever it is. */
export interface ResourceSettings {
  /** `critical` (default): the container does not start without it. `optional`: it may be down; its start is retried. */
  readonly criticality?: Criticality | undefined;
  /** Whether it counts for `/readyz`: always, until the first start only, or never. Default `gate`; for remote resources `startup`. */
  readonly readiness?: Readiness | undefined;
  /** Groups for health by tag, such as `cache`, `config` or `security`. */
  readonly tags?: readonly string[] | undefined;
  /** Longest start, in ms. All attempts of `startRetry` are begun within it. Default 15,000. */
  readonly startTimeoutMs?: number | undefined;
  /**
   * Tries a failed start again where the error may pass, such as a server that is not up yet; never a wrong password or
   * a wrong option. Default: on where `readiness` is `startup`, off for others. `false` for one attempt. It is for
   * critical resources: an optional one does not hold up the start, and is tried again for ever.
   */
  readonly startRetry?: StartRetryOptions | false | undefined;
  /** Longest drain, in ms. Default 10,000. */
  readonly drainTimeoutMs?: number | undefined;
  /** Longest stop, in ms. Default 5,000. */
  readonly stopTimeoutMs?: number | undefined;
  /**
   * Order of a restart: `start-first` (default) starts the new one before the old one stops, so nobody waits;
   * `stop-first` is for what can exist only once, such as a listening port or a file lock.
   */
  readonly restart?: "start-first" | "stop-first" | undefined;
}

/** Everything a resource can say of itself. */
export interface ResourceOptions<R, N extends Needs, L extends Lifetime, E> extends ResourceSettings {
  /** How long an instance lives. Default `application`. */
  readonly lifetime?: L;
  /** What it needs, by reference. */
  readonly needs?: N & CheckedNeeds<L, N>;
  /** Whether it exists at all. Where this is given, others can need it only as `optional(...)`. */
  readonly enabled?: E | ((needs: ValuesOf<N>) => E);
  /** Makes the value. A generator function yields it, and what stands behind the `yield` releases it. */
  readonly start?: (needs: ValuesOf<N>, context: StartContext) => R;
  /**
   * Background work while the resource is ready: a consumer, a scheduler. It goes on until its signal aborts, first of
   * all when the container drains. One that returns or throws before is announced with its cause, makes the resource
   * unhealthy, and is run again.
   */
  readonly run?: Background<Started<R>, ValuesOf<N>>;
  /** How `run` is run again where it ended unasked. Default: at most 5 times in 60 s, with growing delays. */
  readonly rerun?: RerunOptions;
  /** Asks the resource for a sign of life; a rejection means that it is not well. */
  readonly probe?: (value: Started<R>, context: StopContext) => unknown;
  /** Takes no new work from here on and settles what runs. */
  readonly drain?: (value: Started<R>, context: StopContext) => unknown;
  /** Releases what `start` made. */
  readonly stop?: (value: Started<R>, context: StopContext) => unknown;
}

/**
 * Defines a resource.
 *
 * @throws {NEED_INVALID} when a need is not a definition, most often `undefined` from a circular import.
 * @throws {DEFINITION_INVALID} when the name is empty or `start` and `stop` contradict each other.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * const config = resource("config", { start: () => ({ greeting: "hello" }) });
 * const greeter = resource("greeter", {
 *   needs: { config },
 *   start: ({ config }) => ({ greet: (name: string) => `${config.greeting}, ${name}` }),
 * });
 * console.log(greeter.name); // => greeter
 * ```
 */
export function resource<
  R = unknown,
  const N extends Needs = {},
  const L extends Lifetime = "application",
  E extends boolean | undefined = undefined,
>(
  name: string,
  options: ResourceOptions<R, N, L, E>,
): Definition<Started<R>, [E] extends [undefined] ? ReachFor<L, N> : `${ReachFor<L, N>}?`, OpenOfAll<N>> {
  const { lifetime = "application", needs, start, stop, drain, run, rerun, probe, enabled, ...settings } = options;
  const generator = start !== undefined && isGeneratorFunction(start);
  if (generator && stop !== undefined)
    throw new StewardError(
      "DEFINITION_INVALID",
      `resource "${name}" has a generator as start and a stop too: release behind the yield, or return the value and keep stop`,
      { resource: name },
    );
  const spec = {
    kind: "plain",
    name,
    lifetime,
    needs: snapshotNeeds(name, needs),
    generator,
    start,
    stop,
    drain,
    run,
    rerun,
    probe,
    enabled,
    settings,
  };
  return register(spec as unknown as Spec); // the spec forgets the types that the definition carries
}

/**
 * Defines an input: a value that comes from outside, once a container starts or a scope opens.
 *
 * The first call names the type, the second infers the name, because TypeScript infers either all type arguments or none.
 *
 * @example
 * ```ts
 * import { input, resource } from "@steward/core";
 * const token = input<string>()("token", { lifetime: "request" });
 * const me = resource("me", { lifetime: "request", needs: { token }, start: ({ token }) => ({ name: token }) });
 * console.log(token.is("alice").value, me.lifetime); // => alice request
 * ```
 */
export function input<Value>(): <const Name extends string, const L extends HeldLifetime = "application">(
  name: Name,
  options?: { readonly lifetime?: L },
) => InputDefinition<Value, L, `${L}:${Name}`> {
  return (name, options) => {
    const spec: Spec = {
      kind: "input",
      name,
      lifetime: options?.lifetime ?? "application",
      needs: {},
      settings: {},
      generator: false,
    };
    const definition = register<InputDefinition<Value, never, never>>(spec);
    return Object.assign(definition, { is: (value: Value) => ({ input: definition, value }) });
  };
}

/** Tells whether a value is a definition (of this or another copy of the package). */
export { isDefinition };
