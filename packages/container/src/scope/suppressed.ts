import { describeError } from "@steward/core/container";

/** Two errors of which one would have hidden the other; the shape of JavaScript's own, which Node 20 does not have. */
class SuppressedError extends Error {
  override readonly name = "SuppressedError";
  readonly error: unknown;
  readonly suppressed: unknown;

  constructor(error: unknown, suppressed: unknown) {
    super(describeError(error));
    this.error = error;
    this.suppressed = suppressed;
  }
}

/** What was attached to an error, and in which scope: an error that is thrown again elsewhere begins anew. */
interface Attached {
  readonly scope: object;
  readonly suppressed: unknown;
}

const attached = new WeakMap<object, Attached>();

/**
 * The error of some work with a failure of its cleanup attached as `suppressed`; several are chained, the last first.
 * What cannot carry it (a text, a frozen object) comes back in an error of that shape.
 */
export function withSuppressed(error: unknown, failure: unknown, scope: object): unknown {
  if (!(error instanceof Error)) return new SuppressedError(error, failure);
  const earlier = earlierOf(error, scope);
  const suppressed = earlier === undefined ? failure : new SuppressedError(failure, earlier.value);
  const wasSet = Reflect.defineProperty(error, "suppressed", {
    value: suppressed,
    configurable: true,
    enumerable: true,
    writable: true,
  });
  if (!wasSet) return new SuppressedError(error, failure);
  attached.set(error, { scope, suppressed });
  return error;
}

/** What the error suppresses already; not what another scope attached to an error that is thrown again and again. */
function earlierOf(error: Error, scope: object): { readonly value: unknown } | undefined {
  if (!("suppressed" in error)) return undefined;
  const known = attached.get(error);
  return known === undefined || known.suppressed !== error.suppressed || known.scope === scope
    ? { value: error.suppressed }
    : undefined;
}
