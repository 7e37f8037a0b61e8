import type { Definition } from "./definition.ts";
import { StewardError } from "./errors.ts";
import type { Need, Present } from "./need.ts";
import { edge, edgeOf, isDefinition, type EdgeSpec } from "./spec.ts";

/** A need that is `undefined` exactly when configuration has disabled what it points to. */
export function optional<V, R extends string, O extends string>(
  need: Need<V, R, O>,
): Need<V | undefined, Present<R>, O> {
  return edge({ ...edgeOf(checked("optional", need)), optional: true });
}

/** A need that starts at its first use: a function that resolves to the value. It stops with its asker's container or scope. */
export function lazy<V, R extends string, O extends string>(
  definition: Definition<V, R, O>,
): Need<() => Promise<V>, R, O> {
  return edge({ kind: "lazy", target: checked("lazy", definition), optional: false });
}

/** A need with an instance of its own, shared with nobody; it lives as long as its asker. */
export function fresh<V, R extends string, O extends string>(definition: Definition<V, R, O>): Need<V, R, O> {
  return edge({ kind: "fresh", target: checked("fresh", definition), optional: false });
}

/** A holder of a need that survives its restart: `current` is always the instance of now. */
export interface Current<V> {
  /**
   * The instance of now.
   * @throws {RESOURCE_UNAVAILABLE} while an optional resource is down.
   */
  readonly current: V;
}

/** A need that survives a restart of what it points to: the asker is not restarted with it. */
export function current<V, R extends string, O extends string>(
  definition: Definition<V, R, O>,
): Need<Current<V>, R, O> {
  return edge({ kind: "current", target: checked("current", definition), optional: false });
}

/** A need of one of two things; only the branch that the condition chooses is started. */
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
): Need<V1 | V2, R | R1 | R2, O | O1 | O2> {
  const spec: EdgeSpec = {
    kind: "when",
    condition: checked("when", condition),
    whenTrue: edgeOf(checked("when", then)),
    whenFalse: edgeOf(checked("when", otherwise)),
    optional: false,
  };
  return edge(spec);
}

/**
 * A need whose instance is kept for a while and shared by all that ask in that time: single-flight, and an old
 * instance goes after its last user. Only what lives for a session, a request or a handler may hold one.
 *
 * @param options.ttlMs How long an instance is handed out, in ms from its start. At least 1.
 * @throws {DEFINITION_INVALID} when `ttlMs` is not a positive number.
 */
export function cached<V, O extends string>(
  definition: Definition<V, "process" | "application", O>,
  options: { readonly ttlMs: number },
): Need<V, "request", O> {
  const { ttlMs } = options;
  if (!(ttlMs > 0))
    throw new StewardError("DEFINITION_INVALID", `cached(${definition.name}): ttlMs is ${ttlMs}, it must be above 0`);
  return edge({ kind: "cached", target: checked("cached", definition), ttlMs, optional: false });
}

function checked<N extends Need>(kind: string, need: N): N {
  if (isDefinition(need) || (typeof need === "object" && need !== null)) return need;
  throw new StewardError(
    "NEED_INVALID",
    `${kind}(...) was given ${String(need)}, not a definition: most often two modules import each other`,
  );
}
