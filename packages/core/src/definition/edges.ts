import type { AnyDefinition, Definition } from "./types.ts";
import { StewardError } from "../errors.ts";
import type { Lasting, Need, Present } from "./need.ts";
import { milliseconds, required } from "../options/rules.ts";
import { assertShape, shape, type Shape } from "../options/shape.ts";
import { needOf, edgeOf, isDefinition, isNeed, type EdgeSpec } from "./spec.ts";

/** A need that is `undefined` exactly when configuration has disabled what it points to. */
export function optional<V, R extends string, O extends string>(
  need: Need<V, R, O>,
): Need<V | undefined, Present<R>, O> {
  return needOf({ ...edgeOf(aNeed("optional", need)), optional: true });
}

/** A need that starts at its first use: a function that resolves to the value. It stops with its asker's container or scope. */
export function lazy<V, R extends string, O extends string>(
  definition: Definition<V, R, O>,
): Need<() => Promise<V>, R, O> {
  return needOf({ kind: "lazy", target: aDefinition("lazy", definition), optional: false });
}

/** A need with an instance of its own, shared with nobody; it lives as long as its asker. */
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
}

const cachedShape: Shape<CachedOptions> = /* @__PURE__ */ shape<CachedOptions>(() => ({
  ttlMs: required(milliseconds()),
}));

/**
 * A need whose instance is kept for a while and shared by all that ask in that time: single-flight, and an old
 * instance goes after its last user. Only what lives for a session, a request or a handler may hold one.
 *
 * @throws {OPTIONS_INVALID} when `ttlMs` is missing or is not a duration of at least 1 ms.
 */
export function cached<V, O extends string>(
  definition: Definition<V, "process" | "application" | "process~" | "application~", O>,
  options: CachedOptions,
): Need<V, "request", O> {
  const target = aDefinition("cached", definition);
  assertShape(`cached(${target.name})`, cachedShape, options);
  return needOf({ kind: "cached", target, ttlMs: options.ttlMs, optional: false });
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
