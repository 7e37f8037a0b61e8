import type { Binding, ValueOf } from "@steward/core";
import type { AbsenceComplaint, AnyDefinition, Bare, Need, Needs, OpenOf, ReachOf } from "@steward/core/container";

/** The inputs that a tuple of bindings gives. */
export type InputsOf<B extends readonly Binding[]> = [B[number]] extends [never]
  ? never
  : B[number] extends Binding<infer Open>
    ? Open
    : never;

type ScopedInput = `${"session" | "request" | "handler"}:${string}`;

/** The inputs that a need still wants from a scope. */
export type Wanted<N extends Need, Bound extends string> = Exclude<Extract<OpenOf<N>, ScopedInput>, Bound>;

type NameOf<Open extends string> = Open extends `${string}:${infer Name}` ? Name : never;

/** `N` itself where the scope can resolve every need; a sentence on the key of each that it cannot. */
export type ScopeNeeds<N extends Needs, Bound extends string> = {
  readonly [K in keyof N]: [Wanted<N[K], Bound>] extends [never]
    ? ReachOf<N[K]> extends `${string}${"~" | "?"}`
      ? AbsenceComplaint<ReachOf<N[K]>, K & string>
      : N[K]
    : `'${K & string}' needs the input '${NameOf<Wanted<N[K], Bound>>}', which this scope is not given`;
};

/** What `get` answers: `undefined` is possible only for what configuration may disable, and for what may be down. */
export type Resolved<D extends Need> = ReachOf<D> extends `${string}${"~" | "?"}` ? ValueOf<D> | undefined : ValueOf<D>;

/** `unknown` for what the container itself holds; a sentence for what lives in a scope. */
export type HeldByContainer<D extends Need> =
  Bare<ReachOf<D>> extends "application" | "process"
    ? unknown
    : "this lives in a scope: resolve it with running.scope(...)";

/** `unknown` for what a scope with these inputs can resolve; a sentence for what it cannot. */
export type ResolvableBy<D extends Need, Bound extends string> = [Wanted<D, Bound>] extends [never]
  ? ReachOf<D> extends `${string}~`
    ? "this may be down: ask for it as current(...), with resolve({ it: current(it) })"
    : ReachOf<D> extends `${string}?`
      ? "this may be absent: ask for it as optional(...), with resolve({ it: optional(it) })"
      : unknown
  : `this needs the input '${NameOf<Wanted<D, Bound>>}', which the scope is not given`;

/** `unknown` where a container has all its inputs; a sentence that names one that is missing. */
export type AllInputs<Open extends string, B extends readonly Binding[]> = [
  Exclude<Extract<Open, ContainerInput>, InputsOf<B>>,
] extends [never]
  ? unknown
  : `the container needs the input '${NameOf<Exclude<Extract<Open, ContainerInput>, InputsOf<B>>>}': start([${NameOf<Exclude<Extract<Open, ContainerInput>, InputsOf<B>>>}.is(...)])`;

type ContainerInput = `${"process" | "application"}:${string}`;

/** Any definition, for signatures. */
export type SomeDefinition = AnyDefinition;
