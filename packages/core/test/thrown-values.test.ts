import t from "tap";
import { describeError } from "../src/driver.ts";
import { Guard, isRetryable, isStewardError, systemClock } from "../src/index.ts";

/** Values that throw when somebody looks at them. */
const UNREADABLE: readonly (readonly [string, unknown])[] = [
  ["an object without a prototype", Object.create(null)],
  ["an object whose text fails", { toString: fail }],
  ["an error whose message fails", Object.defineProperty(new Error("x"), "message", { get: fail })],
  ["a proxy that refuses every question", new Proxy({}, { get: fail, has: fail, getPrototypeOf: fail })],
  ["a revoked proxy", revoked()],
];

function fail(): never {
  throw new Error("not to be read");
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

for (const [name, thrown] of UNREADABLE) {
  t.test(`${name} is described, and taken for no error of ours`, async (t) => {
    t.equal(describeError(thrown), "something that cannot be shown as text");
    t.equal(isStewardError(thrown), false);
    t.equal(isRetryable(thrown), false);
  });

  t.test(`a guard hands on ${name}, and its place is free again`, async (t) => {
    const guard = new Guard({ resource: "api", clock: systemClock, maxConcurrent: 1, breaker: {}, retry: {} });
    for (const idempotent of [true, false]) {
      const outcome = await guard
        .run(() => Promise.reject(thrown), { idempotent })
        .then(
          () => ["no error"],
          (error: unknown) => [error],
        );
      t.ok(Object.is(outcome[0], thrown), "the very value that was thrown");
    }
    t.match(guard.stats(), { inUse: 0, pending: 0 });
  });
}

t.test("an error that is its own cause is looked at once", async (t) => {
  const error = new Error("round");
  error.cause = new Error("and round", { cause: error });
  t.equal(isRetryable(error), false);
});
