import type { AnyDefinition, Definition, InputDefinition } from "./types.ts";
import { StewardError } from "../errors.ts";
import type { Lasting, Need, Present } from "./need.ts";
import { milliseconds, recognised, required, wholeNumber } from "../options/rules.ts";
import { assertShape, shape, type Shape } from "../options/shape.ts";
import { needOf, edgeOf, isDefinition, isNeed, specOf, type EdgeSpec } from "./spec.ts";

/** A need that is `undefined` exactly when configuration has disabled what it points to. */
export function optional<V, R extends string, O extends string>(
  need: Need<V, R, O>,
): Need<V | undefined, Present<R>, O> {
  return needOf({ ...edgeOf(aNeed("optional", need)), optional: true });
}

/**
 * A need that starts at its first use: a function that resolves to the value. It stops with its asker's container or scope.
 * Ask at each use: a restart replaces the value, and does not concern those who asked before.
 */
export function lazy<V, R extends string, O extends string>(
  definition: Definition<V, R, O>,
): Need<() => Promise<V>, R, O> {
  return needOf({ kind: "lazy", target: aDefinition("lazy", definition), optional: false });
}

/** A need with an instance of its own, shared with no one; it lives as long as its asker. */
export function fresh<V, R extends string, O extends string>(definition: Definition<V, R, O>): Need<V, R, O> {
  return needOf({ kind: "fresh", target: aDefinition("fresh", definition), optional: false });
}

/** A holder of a need that survives its restart: `current` is always the instance in use. */
export interface Current<V> {
  /**
   * The instance in use; `undefined` while a resource that may be down is down.
   * @throws {RESOURCE_UNAVAILABLE} while any other is, as after a restart that failed.
   */
  readonly current: V;
}

/**
 * A need that survives a restart of what it points to: the asker is not restarted with it. It is how to need a
 * resource that may be down (`criticality: "optional"`).
 */
export function current<V, R extends string, O extends string>(
  definition: Definition<V, R, O>,
): Need<Current<R extends `${string}~${string}` ? V | undefined : V>, Lasting<R>, O> {
  return needOf({ kind: "current", target: aDefinition("current", definition), optional: false });
}

/**
 * A need of one of two things; only the branch that the condition chooses is started. The condition is a definition of
 * a boolean, or a predicate over the value of a definition: `when(config, (c) => c.smtp, smtp, consoleMailer)`.
 */
export function when<
  V1,
  R1 extends string,
  O1 extends string,
  V2,
  R2 extends string,
  O2 extends string,
  R extends string,
  O extends string,
>(
  condition: Definition<boolean, R, O>,
  then: Need<V1, R1, O1>,
  otherwise: Need<V2, R2, O2>,
): Need<V1 | V2, R | R1 | R2, O | O1 | O2>;
export function when<
  V,
  V1,
  R1 extends string,
  O1 extends string,
  V2,
  R2 extends string,
  O2 extends string,
  R extends string,
  O extends string,
>(
  definition: Definition<V, R, O>,
  predicate: (value: V) => boolean,
  then: Need<V1, R1, O1>,
  otherwise: Need<V2, R2, O2>,
): Need<V1 | V2, R | R1 | R2, O | O1 | O2>;
export function when(condition: AnyDefinition, ...rest: readonly unknown[]): Need<never, never, never> {
  const [test, then, otherwise] = typeof rest[0] === "function" ? rest : [isTrue, ...rest];
  const spec: EdgeSpec = {
    kind: "when",
    condition: aDefinition("when", condition),
    test: test as (value: unknown) => boolean, // the types have seen to it
    whenTrue: edgeOf(aNeed("when", then)),
    whenFalse: edgeOf(aNeed("when", otherwise)),
    optional: false,
  };
  return needOf(spec);
}

function isTrue(value: unknown): boolean {
  return value === true;
}

/** How long a cached instance is handed out. */
export interface CachedOptions {
  /** In ms from its start. At least 1. */
  readonly ttlMs: number;
  /** One instance has none. */
  readonly key?: undefined;
  /** Of instances by key alone. */
  readonly max?: undefined;
}

/** A key that an instance is cached under. Two are the same where `===` says so. */
export type CacheKey = string | number | bigint | boolean;

/** How instances are cached by a key. */
export interface KeyedOptions<K extends CacheKey, O extends string> {
  /** How long an instance is handed out, in ms from its start. At least 1. */
  readonly ttlMs: number;
  /** The input that each instance is given its key as. The definition has to need it itself. */
  readonly key: InputDefinition<K, "process" | "application", O>;
  /**
   * Most instances at once, whatever their keys; one more takes the place of the one that was used longest ago and has
   * no user. Where all have a user, it is refused. Default 100.
   */
  readonly max?: number | undefined;
}

type AnyCachedOptions = CachedOptions | KeyedOptions<CacheKey, string>;

const cachedShape: Shape<AnyCachedOptions> = /* @__PURE__ */ shape<AnyCachedOptions>(
  () => ({
    ttlMs: required(milliseconds()),
    key: recognised(isInput, "an input, made by input<T>()(name)"),
    max: wholeNumber(1),
  }),
  ({ key, max }) => (max !== undefined && key === undefined ? { path: "max", message: "needs key" } : undefined),
);

function isInput(value: unknown): boolean {
  return isDefinition(value) && specOf(value).kind === "input";
}

/**
 * A need whose instance is kept for a while and shared by all that ask in that time: single-flight, and an old
 * instance goes after its last user. Only what lives for a request or a handler may hold one.
 *
 * With a `key` there is an instance for each key, and the asker is handed a function: `await models("small")`. What it
 * gives belongs to the asker's scope until that ends.
 *
 * @throws {OPTIONS_INVALID} when `ttlMs` is missing or is not a duration of at least 1 ms, `key` is no input, or `max` no number of at least 1.
 * @throws {NEED_INVALID} when the definition does not need its `key`.
 *
 * @example
 * ```ts
 * import { cached, input, resource } from "@steward/core";
 * const size = input<string>()("size");
 * const model = resource("model", { needs: { size }, start: ({ size }) => ({ answer: () => `a ${size} answer` }) });
 * const reply = resource("reply", {
 *   lifetime: "request",
 *   needs: { models: cached(model, { key: size, ttlMs: 60_000, max: 3 }) },
 *   start: async ({ models }) => (await models("small")).answer(),
 * });
 * console.log(reply.name); // => reply
 * ```
 */
export function cached<V, O extends string, K extends CacheKey = never, KO extends O = never>(
  definition: Definition<V, "process" | "application" | "process~" | "application~", O>,
  options: CachedOptions | KeyedOptions<K, KO>,
): Need<[K] extends [never] ? V : (key: K) => Promise<V>, "request", Exclude<O, KO>> {
  const target = aDefinition("cached", definition);
  assertShape(`cached(${target.name})`, cachedShape, options);
  const { ttlMs, key: input, max = 100 } = options;
  if (input === undefined) return needOf({ kind: "cached", target, ttlMs, optional: false });
  if (Object.values(specOf(target).needs).every((need) => !isPlain(need, input)))
    throw new StewardError(
      "NEED_INVALID",
      `cached(${target.name}) is given the key "${input.name}", which "${target.name}" does not need: add it to its needs`,
      { resource: target.name },
    );
  return needOf({ kind: "cached", target, ttlMs, keyed: { input, max }, optional: false });
}

function isPlain(need: Need, target: AnyDefinition): boolean {
  const edge = edgeOf(need);
  return edge.kind === "plain" && edge.target === target;
}

function aNeed(kind: string, need: unknown): Need {
  if (isNeed(need)) return need;
  throw refusal(kind, need, "a definition");
}

/** A definition, or an error that says what it is instead. */
export function aDefinition(kind: string, need: unknown): AnyDefinition {
  if (isDefinition(need)) return need;
  if (isNeed(need))
    throw refusal(kind, "an edge", `a definition: write optional(${kind}(x)), not ${kind}(optional(x))`);
  throw refusal(kind, need, "a definition");
}

function refusal(kind: string, given: unknown, expected: string): StewardError {
  const hint = given === undefined ? ": most often two modules import each other" : "";
  return new StewardError("NEED_INVALID", `${kind}(...) was given ${String(given)}, not ${expected}${hint}`);
}
