import { resource, type Definition } from "@steward/core";
import {
  edgeOf,
  needOf,
  originOf,
  specOf,
  variantOf,
  type EdgeSpec,
  type Need,
  type Needs,
} from "@steward/core/container";
import { assertShape, listOf, text } from "@steward/core/driver";
import { HttpError, unauthenticated } from "../errors.ts";
import { requiredScopes } from "../route/request-inputs.ts";
import { assertNeeds } from "../route/needs.ts";
import type { AnyDefinition } from "../route/source.ts";
import { Scopes } from "./scopes.ts";

const SCOPES = Symbol.for("steward.server.scopes");

/**
 * A need under security scopes: all that are asked for above a dependency are gathered, outermost first.
 *
 * The dependency's value says what was granted, in a list `scopes`; what is missing in it is 403, and no value is 401.
 * A dependency may need `requiredScopes` instead and decide. A value that says nothing has been granted nothing.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { from, security } from "@steward/server";
 * const user = resource("user", { lifetime: "request", needs: { token: from.bearer() }, start: ({ token }) => ({ name: token, scopes: ["read"] }) });
 * const writer = security(user, ["write"]); // 403 for a user who has only "read"
 * console.log(typeof writer); // => object
 * ```
 */
export function security<V, R extends string, O extends string>(definition: Definition<V, R, O>): Need<V, R, O>;
/** The same with scopes that have to be granted. */
export function security<V, R extends string, O extends string>(
  definition: Definition<V, R, O> & Granting<V, O>,
  scopes: readonly string[],
): Need<V, R, O | "request:requiredScopes">; // it is checked in routes alone, so it can be asked for there alone
/** What both forms do. */
export function security<V, R extends string, O extends string>(
  definition: Definition<V, R, O>,
  scopes: readonly string[] = [],
): Need<V, R, O> {
  assertNeeds("security", { "what it checks": definition } as never); // the signature says that it is one
  assertShape("security", listOf(text()), scopes);
  const need = needOf<Need<V, R, O>>({ kind: "plain", target: definition, optional: false });
  return Object.assign(need, { [SCOPES]: [...scopes] });
}

/** A list of scopes that were granted. */
type ScopeList = readonly string[] | ReadonlySet<string>;

/** `unknown` for a dependency that says what was granted, or decides itself; a sentence for any other. */
export type Granting<V, O extends string> = "request:requiredScopes" extends O
  ? unknown
  : [NonNullable<V>] extends [{ readonly scopes: ScopeList }]
    ? unknown
    : "its value has no list `scopes` to compare with: give it one, or need `requiredScopes` and decide";

/** The scopes that a need asks for by itself. */
export function scopesOf(need: Need): readonly string[] {
  return (need as { [SCOPES]?: readonly string[] })[SCOPES] ?? []; // set by `security` alone
}

/** The scopes so far, with more of them, each once. */
export function gathered(outer: readonly string[], more: readonly string[]): readonly string[] {
  return more.length === 0 ? outer : [...new Set([...outer, ...more])];
}

/** A route's needs, each dependency in the variant that its security scopes ask for. */
export function underScopes(needs: Needs, outer: readonly string[] = []): Needs {
  return Object.fromEntries(Object.entries(needs).map(([key, need]) => [key, variantOfNeed(need, outer)]));
}

function variantOfNeed(need: Need, outer: readonly string[]): Need {
  const own = scopesOf(need);
  if (own.length > 0) return guarded(edgeOf(need), gathered(outer, own));
  const spec = edgeOf(need);
  const changed = withTargets(spec, (target) => variant(target, outer, false));
  return changed === spec ? need : needOf(changed);
}

function withTargets(spec: EdgeSpec, change: (target: AnyDefinition) => AnyDefinition): EdgeSpec {
  if (spec.kind === "when") {
    const [condition, whenTrue, whenFalse] = [
      change(spec.condition),
      withTargets(spec.whenTrue, change),
      withTargets(spec.whenFalse, change),
    ];
    return condition === spec.condition && whenTrue === spec.whenTrue && whenFalse === spec.whenFalse
      ? spec
      : { ...spec, condition, whenTrue, whenFalse };
  }
  const target = change(spec.target);
  return target === spec.target ? spec : { ...spec, target };
}

const made = new WeakMap<AnyDefinition, Map<string, AnyDefinition>>();

/** The one variant of a definition for a set of scopes, whatever their order. */
function once(
  definition: AnyDefinition,
  kind: string,
  outer: readonly string[],
  make: () => AnyDefinition,
): AnyDefinition {
  let variants = made.get(definition);
  if (variants === undefined) made.set(definition, (variants = new Map<string, AnyDefinition>()));
  const key = JSON.stringify([kind, [...outer].sort()]);
  let found = variants.get(key);
  if (found === undefined) variants.set(key, (found = make()));
  return found;
}

function variant(definition: AnyDefinition, outer: readonly string[], always: boolean): AnyDefinition {
  if (definition === requiredScopes) return outer.length === 0 ? definition : constantScopes(outer);
  if (!always && !usesScopes(definition)) return definition;
  const origin = originOf(definition);
  return once(origin, "variant", outer, () =>
    variantOf(origin, underScopes(specOf(origin).needs, outer), (replacement) => variant(replacement, outer, always)),
  );
}

function constantScopes(outer: readonly string[]): AnyDefinition {
  // All definitions share these, so each order has its own.
  return once(requiredScopes, `constant ${JSON.stringify(outer)}`, outer, () => {
    const scopes = new Scopes(outer);
    return resource("requiredScopes", { lifetime: "request", start: () => scopes });
  });
}

/** The dependency under its scopes, and behind it the comparison with what was granted. */
function guarded(spec: EdgeSpec, outer: readonly string[]): Need {
  const changed = withTargets(spec, (target) => {
    const callee = variant(target, outer, true);
    const scopes = new Scopes(outer);
    const lifetime = target.lifetime === "handler" || target.lifetime === "transient" ? "handler" : "request";
    return once(originOf(target), "guarded", outer, () =>
      resource(target.name, {
        lifetime,
        needs: { value: callee as never },
        start: ({ value }) => granted(value, scopes, usesScopes(originOf(target))),
      }),
    ); // needs of any type
  });
  return needOf(changed);
}

/** The value, where everything was granted. `decides`: the dependency has looked at the scopes itself. */
function granted(value: unknown, scopes: Scopes, decides: boolean): unknown {
  const has = scopeListOf(value);
  if (has === undefined ? decides : scopes.missingIn(has).length === 0) return value;
  if (value === undefined || value === null) throw unauthenticated(`Bearer scope="${scopes.text}"`);
  throw new HttpError(403, "Not enough permissions", {
    headers: { "www-authenticate": `Bearer error="insufficient_scope", scope="${scopes.text}"` },
  });
}

/** What a value says was granted: nothing, where it is no list; `undefined` where it does not speak of scopes at all. */
function scopeListOf(value: unknown): ReadonlySet<unknown> | undefined {
  if (typeof value !== "object" || value === null || !("scopes" in value)) return undefined;
  const { scopes } = value;
  return new Set<unknown>(Array.isArray(scopes) || scopes instanceof Set ? (scopes as Iterable<unknown>) : []); // one of the two
}

const uses = new WeakMap<AnyDefinition, boolean>();

/** Whether a definition, or anything below it, looks at security scopes. */
function usesScopes(definition: AnyDefinition): boolean {
  const known = uses.get(definition);
  if (known !== undefined) return known;
  uses.set(definition, false); // a cycle is refused elsewhere
  const found =
    definition === requiredScopes ||
    Object.values(specOf(definition).needs).some(
      (need) => scopesOf(need).length > 0 || targetsOf(edgeOf(need)).some(usesScopes),
    );
  uses.set(definition, found);
  return found;
}

/** Everything that an edge may lead to. */
export function targetsOf(spec: EdgeSpec): AnyDefinition[] {
  return spec.kind === "when"
    ? [spec.condition, ...targetsOf(spec.whenTrue), ...targetsOf(spec.whenFalse)]
    : [spec.target];
}
