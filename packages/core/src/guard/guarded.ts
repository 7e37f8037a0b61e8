import { StewardError } from "../errors.ts";
import { Guard, type GuardOptions } from "./guard.ts";
import { callRules, type CallOptions, type Operation } from "./options.ts";
import { assertShape, shape, type Shape } from "../options/shape.ts";

const callShape: Shape<CallOptions> = /* @__PURE__ */ shape<CallOptions>(() => callRules());

const GUARDS = Symbol.for("steward.guards");

/** A guard that is made at the first call, so that a program that calls `guarded` nowhere does not load what guards are. */
export interface PlannedGuard {
  readonly options: GuardOptions;
  /** `undefined` before the first call. */
  guard: Guard | undefined;
}

/** Shared by all copies of this package in a process. */
function guardsByValue(): WeakMap<object, PlannedGuard> {
  const shared = globalThis as { [GUARDS]?: WeakMap<object, PlannedGuard> };
  return (shared[GUARDS] ??= new WeakMap());
}

/** Puts a guard before a value, for {@link guarded}. For containers. */
export function guardValue(value: object, planned: PlannedGuard): void {
  guardsByValue().set(value, planned);
}

/**
 * Uses a resource of one's own through the guard that its definition declares: within its bounds and deadline, seen by
 * its health and its metrics, refused at once while it is down.
 *
 * @param value The value of the resource, as it was handed to you.
 * @param use What to do with it; it may ask its call for a deadline and a signal.
 * @throws {NOT_GUARDED} when the definition of the resource declares no `guard`.
 * @throws {CIRCUIT_OPEN} while the resource does not answer.
 * @throws {OVERLOADED} when all places are taken and the queue is full.
 * @throws {DEADLINE_EXCEEDED} when time runs out.
 *
 * @example
 * ```ts fragment
 * const store = resource("store", {
 *   guard: { maxConcurrent: 10, timeoutMs: 2_000 },
 *   start: () => new S3Client({}),
 * });
 * const reports = resource("reports", {
 *   needs: { store },
 *   start: ({ store }) => ({ read: (key: string) => guarded(store, () => store.send(new GetObjectCommand({ Key: key }))) }),
 * });
 * ```
 */
export function guarded<T>(value: object, use: Operation<T>, options?: CallOptions): Promise<T> {
  if (options !== undefined) assertShape("guarded", callShape, options);
  const guard = plannedGuard(value);
  return guard === undefined ? Promise.reject(notGuarded()) : guard.run(use, options);
}

/**
 * The guard of a value, for what adjusts it.
 *
 * @throws {NOT_GUARDED} when the definition of its resource declares none.
 */
export function guardOf(value: object): Guard {
  const guard = plannedGuard(value);
  if (guard === undefined) throw notGuarded();
  return guard;
}

function plannedGuard(value: object): Guard | undefined {
  const planned = guardsByValue().get(value);
  return planned === undefined ? undefined : (planned.guard ??= new Guard(planned.options));
}

function notGuarded(): StewardError {
  const message = "this value has no guard: declare `guard: {}` in the definition of its resource";
  return new StewardError("NOT_GUARDED", message);
}
