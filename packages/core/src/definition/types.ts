import type { HeldLifetime, Lifetime, Need } from "./need.ts";

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

/** A definition of any type. */
export type AnyDefinition = Definition<unknown, string, string>;

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

/** What a start is given. */
export interface StartContext {
  /** Aborts when a sibling failed, when the start timeout ran out, or when a stop was asked for. */
  readonly signal: AbortSignal;
}

/** What a probe, a drain and a stop are given. */
export interface StopContext {
  /** Aborts when the time for it has run out. */
  readonly signal: AbortSignal;
}
