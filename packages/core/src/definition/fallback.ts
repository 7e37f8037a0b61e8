import { resource } from "./definition.ts";
import { aDefinition, current, type Current } from "./edges.ts";
import type { AnyDefinition, Definition } from "./types.ts";

/** The reach of what a fallback can be made of: what a container holds, whether it may be down or not. */
export type FallbackReach = "process" | "application" | "process~" | "application~";

/** Under which a holder of a container says whether its instance can be used now. For containers. */
export const USABLE: unique symbol = Symbol.for("steward.usable");

/** What a holder of a container says besides the value: whether the instance is up and not unhealthy. */
interface Judged<V> extends Current<V> {
  readonly [USABLE]?: boolean;
}

const made = new WeakMap<AnyDefinition, WeakMap<AnyDefinition, AnyDefinition>>();

/**
 * A holder of the first of two resources while that is up and not unhealthy, and of the second while it is not. Read
 * `current` at each use: it swaps, and swaps back, without a restart of its asker. While the first is not well, the
 * fallback and its askers are `degraded` in health, with the first as the cause.
 *
 * Declare the first `criticality: "optional"`, so that the container starts without it. The same two give the same
 * definition. Where health is not watched (`health: false`), only what is not up counts.
 *
 * @throws {NEED_INVALID} when one of the two is no definition.
 *
 * @example
 * ```ts
 * import { fallback, resource } from "@steward/core";
 * const remote = resource("remote", { criticality: "optional", start: () => new Map<string, string>() });
 * const local = resource("local", { start: () => new Map<string, string>() });
 * const cache = fallback(remote, local);
 * const pages = resource("pages", { needs: { cache }, start: ({ cache }) => (key: string) => cache.current.get(key) });
 * console.log(cache.name, pages.name); // => remote or local pages
 * ```
 */
export function fallback<V, O extends string, R2 extends FallbackReach, O2 extends string>(
  primary: Definition<V, FallbackReach, O>,
  secondary: Definition<NoInfer<V>, R2, O2>,
): Definition<Current<R2 extends `${string}~` ? V | undefined : V>, "application", O | O2> {
  aDefinition("fallback", primary);
  aDefinition("fallback", secondary);
  const bySecondary = made.get(primary) ?? new WeakMap<AnyDefinition, AnyDefinition>();
  const known = bySecondary.get(secondary) ?? define(primary, secondary);
  made.set(primary, bySecondary.set(secondary, known));
  return known as Definition<Current<R2 extends `${string}~` ? V | undefined : V>, "application", O | O2>; // of these two
}

function define(primary: AnyDefinition, secondary: AnyDefinition): AnyDefinition {
  // The types of `current` are checked where the two are named.
  const needs = {
    primary: current(primary as Definition<unknown>),
    secondary: current(secondary as Definition<unknown>),
  };
  return resource(`${primary.name} or ${secondary.name}`, {
    needs,
    start: ({ primary, secondary }) => ({
      get current(): unknown {
        return (primary as Judged<unknown>)[USABLE] === false ? secondary.current : primary.current;
      },
    }),
  });
}
