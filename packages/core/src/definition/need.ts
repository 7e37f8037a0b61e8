/** How long an instance lives, longest first; `transient` lives as long as the instance that needs it. */
export type Lifetime = "process" | "application" | "session" | "request" | "handler" | "transient";

/** A lifetime that an instance can be held for. */
export type HeldLifetime = Exclude<Lifetime, "transient">;

/**
 * What a definition says about how long its value may be held. A `~` marks one that may be down while others run, a
 * `?` one that configuration may disable.
 */
export type Reach = `${HeldLifetime}${"" | "~"}${"" | "?"}`;

declare const GIVES: unique symbol;
declare const REACH: unique symbol;
declare const OPEN: unique symbol;

/**
 * Whatever may stand in `needs`: a definition, or an edge made of one (`optional`, `lazy`, `fresh`, `current`, `when`, `cached`).
 *
 * Its types say what the asker is handed, how long that may be held, and which inputs are still open.
 */
export interface Need<out Gives = unknown, out R extends string = string, out Open extends string = string> {
  readonly [GIVES]: Gives;
  readonly [REACH]: R;
  readonly [OPEN]: Open;
}

/** Needs by the name under which they are handed over. */
export type Needs = Readonly<Record<string, Need>>;

/** What the asker is handed for its needs. */
export type ValuesOf<N extends Needs> = { readonly [K in keyof N]: N[K][typeof GIVES] };

/** The type of a definition's value. */
export type ValueOf<N extends Need> = N[typeof GIVES];

/** How long the value of a need may be held. */
export type ReachOf<N extends Need> = N[typeof REACH];

/** The open inputs of a need, as `lifetime:name`. */
export type OpenOf<N extends Need> = N[typeof OPEN];

/** The open inputs of all needs. */
export type OpenOfAll<N extends Needs> = N[keyof N][typeof OPEN];

/** What a resource of lifetime `L` may need: nothing that lives shorter. */
export interface Reachable {
  process: "process";
  application: "process" | "application";
  session: "process" | "application" | "session";
  request: "process" | "application" | "session" | "request";
  handler: HeldLifetime;
  transient: HeldLifetime;
}

type Article<L extends string> = L extends "application" ? "an application" : `a ${L}`;

/** Why a resource of lifetime `L` may not have `N` under the key `K`. */
export type NeedError<L extends Lifetime, K, N> =
  N extends Need<unknown, infer R>
    ? Bare<R> extends Reachable[L]
      ? AbsenceComplaint<R, K & string>
      : `${Article<L>} resource cannot need '${K & string}': it lives shorter`
    : `'${K & string}' is not a definition`;

/** Why what may be absent can not be had plainly, and what to write. */
export type AbsenceComplaint<R extends string, K extends string> = R extends `${string}~?`
  ? `'${K}' may be disabled and may be down: need it as optional(current(${K}))`
  : R extends `${string}~`
    ? `'${K}' may be down: need it as current(${K})`
    : `'${K}' may be disabled: need it as optional(${K})`;

/** `N` itself where every need is allowed; a sentence on the key of each that is not. */
export type CheckedNeeds<L extends Lifetime, N extends Needs> = {
  readonly [K in keyof N]: N[K] extends { readonly [REACH]: Reachable[L] } ? N[K] : NeedError<L, K, N[K]>;
};

type Shortest<R extends string> = "handler" extends R
  ? "handler"
  : "request" extends R
    ? "request"
    : "session" extends R
      ? "session"
      : "application" extends R
        ? "application"
        : "process";

/** The reach of a resource: its lifetime, or for a transient one that of its shortest need. */
export type ReachFor<L extends Lifetime, N extends Needs> = L extends HeldLifetime
  ? L
  : Shortest<N[keyof N][typeof REACH]>;

/** The reach of a resource with its marks: `E` is the type of its `enabled`, `C` its criticality. */
export type MarkedReach<L extends Lifetime, N extends Needs, E, C> = [E] extends [undefined]
  ? DownMarked<ReachFor<L, N>, C>
  : `${DownMarked<ReachFor<L, N>, C>}?`;

type DownMarked<R extends string, C> = "optional" extends C ? `${R}~` : R;

/** A reach of what is there although configuration may disable others: without its `?`. */
export type Present<R extends string> = R extends `${infer L}?` ? L : R;

/** A reach of what survives that it is down: without its `~`. */
export type Lasting<R extends string> = R extends `${infer L}~${infer Rest}` ? `${L}${Rest}` : R;

/** The lifetime in a reach, without its marks. */
export type Bare<R extends string> = Present<Lasting<R>>;
