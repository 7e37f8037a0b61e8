import { nearest } from "../options/nearest.ts";
import { OptionsError, wrongType, type OptionsProblem } from "../options/problems.ts";
import { specOf } from "./spec.ts";
import type { AnyDefinition, Definition } from "./types.ts";

/** Factories of resources by the name that a configuration calls them: those of drivers, or `(name, options) => resource(...)`. */
export type Kinds = Readonly<Record<string, (name: string, options: never) => AnyDefinition>>;

/** One resource in a configuration: its kind, and the options that the factory of this kind takes. */
export interface Configured<Kind extends string> {
  readonly kind: Kind;
}

type ValueMade<F> = F extends (name: string, options: never) => Definition<infer V, string, string> ? V : never;

/** The definitions that a configuration makes, by its names. What says `enabled` may be absent, as elsewhere. */
export type FromConfig<K extends Kinds, C extends Readonly<Record<string, Configured<keyof K & string>>>> = {
  readonly [N in keyof C]: Definition<
    ValueMade<K[C[N]["kind"]]>,
    C[N] extends { readonly enabled: unknown } ? "application?" : "application"
  >;
};

/**
 * Makes definitions of a plain object, such as a part of a JSON file: each key is the name of a resource, `kind` says
 * which factory makes it, and the rest are the options of this factory.
 *
 * @throws {OPTIONS_INVALID} listing what is wrong in all resources together, with the nearest known names.
 *
 * @example
 * ```ts
 * import { fromConfig, resource } from "@steward/core";
 * const counter = (name: string, { from }: { readonly from: number }) => resource(name, { start: () => ({ from }) });
 * const { hits } = fromConfig({ counter }, { hits: { kind: "counter", from: 5 } });
 * console.log(hits.name); // => hits
 * ```
 */
export function fromConfig<
  const K extends Kinds,
  const C extends Readonly<Record<string, Configured<keyof K & string>>>,
>(kinds: K, config: C): FromConfig<K, C> {
  for (const [path, given] of Object.entries({ kinds, config }))
    if (!isRecord(given))
      throw new OptionsError([{ resource: "fromConfig", path, message: wrongType("object", given) }]);
  const problems: OptionsProblem[] = [];
  const made: [string, AnyDefinition][] = [];
  for (const [name, entry] of Object.entries(config)) {
    const definition = makeOne(kinds, name, entry, problems);
    if (definition !== undefined) made.push([name, definition]);
  }
  if (problems.length > 0) throw new OptionsError(problems);
  return Object.fromEntries(made) as FromConfig<K, C>; // by the factories that the kinds name
}

function makeOne(kinds: Kinds, name: string, entry: unknown, problems: OptionsProblem[]): AnyDefinition | undefined {
  const { kind, ...options } = isRecord(entry) ? entry : {};
  const factory = typeof kind === "string" && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (typeof factory !== "function") {
    problems.push({ resource: name, path: "kind", message: unknownKind(kinds, kind) });
    return undefined;
  }
  try {
    const definition = factory(name, options as never); // it checks them itself
    problems.push(...(specOf(definition).managed?.problems ?? []));
    return definition;
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}

function unknownKind(kinds: Kinds, kind: unknown): string {
  const near = typeof kind === "string" ? nearest(kind, Object.keys(kinds)) : undefined;
  const known = Object.keys(kinds).join(", ");
  if (kind === undefined) return `is missing: expected one of ${known}`;
  return `is not a kind${near === undefined ? `: expected one of ${known}` : `; did you mean "${near}"?`}`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
