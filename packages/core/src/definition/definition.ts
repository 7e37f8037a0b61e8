import { StewardError } from "../errors.ts";
import type { ResourceGuardOptions } from "../guard/options.ts";
import { resourceGuardShape } from "../guard/options.ts";
import { isGeneratorFunction, type AfterReply } from "./generator.ts";
import type { CheckedNeeds, HeldLifetime, Lifetime, MarkedReach, Needs, OpenOfAll, ValuesOf } from "./need.ts";
import { anything, func, oneOf } from "../options/rules.ts";
import { assertShape, shape, type Shape } from "../options/shape.ts";
import {
  enabledRule,
  rerunShape,
  settingsRules,
  type Criticality,
  type RerunOptions,
  type ResourceSettings,
} from "./settings.ts";
import { isDefinition, makeDefinition, snapshotNeeds, type Background, type Spec } from "./spec.ts";
import type { Definition, InputDefinition, StartContext, StopContext } from "./types.ts";

/** The value of a resource, from what its `start` returns: awaited, or what a lifecycle generator yields. */
export type Started<R> =
  R extends Promise<infer V> // first: comparing a promise with a generator costs the compiler 180 instantiations
    ? V
    : R extends AsyncGenerator<infer Y, unknown, never> | Generator<infer Y, unknown, never>
      ? Exclude<Y, AfterReply>
      : Awaited<R>;

/** Everything a resource can say of itself. */
export interface ResourceOptions<
  R,
  N extends Needs,
  L extends Lifetime,
  E,
  C extends Criticality = Criticality,
> extends ResourceSettings {
  /**
   * `critical` (default): the container does not start without it. `optional`: it may be down, which its type says, so
   * others need it as `current(...)`; its start is retried.
   */
  readonly criticality?: C | undefined;
  /** How long an instance lives. Default `application`. */
  readonly lifetime?: L;
  /** What it needs, by reference. */
  readonly needs?: N & CheckedNeeds<L, N>;
  /** Whether it exists at all. Where this is given, others can need it only as `optional(...)`. */
  readonly enabled?: E | ((needs: ValuesOf<N>) => E);
  /**
   * Makes the value. A generator function yields it, and what stands behind the `yield` releases it. Only a resource
   * that is there for its `run` alone may be without.
   */
  readonly start?: (needs: ValuesOf<N>, context: StartContext) => R;
  /**
   * Background work while the resource is ready: a consumer, a scheduler. It goes on until its signal aborts, first of
   * all when the container drains. One that returns or throws before is announced with its cause, makes the resource
   * unhealthy, and is run again.
   */
  readonly run?: Background<Started<R>, ValuesOf<N>>;
  /** How `run` is run again where it ended unasked. Default: at most 5 times in 60 s, with growing delays. */
  readonly rerun?: RerunOptions;
  /** Bounds of the guard that {@link guarded} uses: deadline, places, breaker. Only for application resources whose value is an object. Default: none. */
  readonly guard?: ResourceGuardOptions;
  /** Asks the resource for a sign of life; a rejection means that it is not well. */
  readonly probe?: (value: Started<R>, context: StopContext) => unknown;
  /** Takes no new work from here on and settles what runs. */
  readonly drain?: (value: Started<R>, context: StopContext) => unknown;
  /** Releases what `start` made. */
  readonly stop?: (value: Started<R>, context: StopContext) => unknown;
}

const LIFETIMES = ["process", "application", "session", "request", "handler", "transient"] as const;

/** What only a resource that a container holds can have. */
const HELD_ONLY = [
  "criticality",
  "readiness",
  "tags",
  "startRetry",
  "restart",
  "run",
  "rerun",
  "probe",
  "guard",
  "health",
  "metrics",
  "drain",
] as const;

type AnyOptions = ResourceOptions<unknown, Needs, Lifetime, boolean>;

const optionsShape: Shape<AnyOptions> = /* @__PURE__ */ shape<AnyOptions>(
  () => ({
    ...settingsRules(),
    lifetime: oneOf(...LIFETIMES),
    needs: anything(), // checked by `snapshotNeeds`, which knows why one is undefined
    enabled: enabledRule(),
    start: func(),
    run: func(),
    rerun: rerunShape,
    probe: func(),
    guard: resourceGuardShape,
    drain: func(),
    stop: func(),
  }),
  ({ start, run }) =>
    start === undefined && run === undefined ? { path: "start", message: "is missing: expected function" } : undefined,
  ({ rerun, run }) => (rerun !== undefined && run === undefined ? { path: "rerun", message: "needs run" } : undefined),
  (given) => {
    const { lifetime = "application" } = given;
    if (lifetime !== "session" && lifetime !== "request" && lifetime !== "handler") return undefined;
    const path = HELD_ONLY.find((key) => given[key] !== undefined);
    return path === undefined
      ? undefined
      : { path, message: `is for what a container holds; this lives in a ${lifetime}` };
  },
);

/**
 * Defines a resource.
 *
 * @throws {OPTIONS_INVALID} listing every option that is unknown, missing, or wrong.
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
  const C extends Criticality = "critical",
>(
  name: string,
  options: ResourceOptions<R, N, L, E, C>,
): Definition<Started<R>, MarkedReach<L, N, E, C>, OpenOfAll<N>> {
  assertShape(name, optionsShape, options);
  const {
    lifetime = "application",
    needs,
    start,
    stop,
    drain,
    run,
    rerun,
    probe,
    guard,
    enabled,
    ...settings
  } = options;
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
    guard,
    enabled,
    settings,
  };
  return makeDefinition(spec as Spec); // the spec forgets the types that the definition carries
}

interface InputOptions {
  readonly lifetime?: Lifetime;
}

const inputShape: Shape<InputOptions> = /* @__PURE__ */ shape<InputOptions>(() => ({
  lifetime: oneOf("process", "application", "session", "request", "handler"),
}));

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
    if (options !== undefined) assertShape(name, inputShape, options);
    const spec: Spec = {
      kind: "input",
      name,
      lifetime: options?.lifetime ?? "application",
      needs: {},
      settings: {},
      generator: false,
    };
    const definition = makeDefinition<InputDefinition<Value, never, never>>(spec);
    return Object.assign(definition, { is: (value: Value) => ({ input: definition, value }) });
  };
}

/** Whether a value is a definition (of this or another copy of the package). */
export { isDefinition };
