import { resource } from "@steward/core";
import { failure } from "@steward/testing";
import { inspect } from "node:util";
import t from "tap";
import { container } from "../src/index.ts";

/** An error with what was attached to it. */
type Suppressing = Error & { readonly suppressed?: unknown };

const fails = (name: string) =>
  resource(name, {
    lifetime: "request",
    start: () => name,
    stop: () => {
      throw new Error(`cleanup of ${name}`);
    },
  });

t.test("the handler's error arrives with every failure of cleanup attached, the last first", async (t) => {
  const [a, b, c] = [fails("a"), fails("b"), fails("c")];
  const cause = new Error("the real cause");
  await using running = await container([a, b, c]).start();
  const error = (await failure(running.scope([], { a, b, c }, () => Promise.reject(cause)))) as Suppressing;
  t.equal(error, cause);
  t.match(error.suppressed, {
    name: "SuppressedError",
    error: { message: "cleanup of a" },
    suppressed: { error: { message: "cleanup of b" }, suppressed: { message: "cleanup of c" } },
  });
  for (const name of ["a", "b", "c"]) t.match(inspect(error, { depth: 9 }), `cleanup of ${name}`);
});

t.test("without an error of the handler, the first failure of cleanup arrives with the others attached", async (t) => {
  const [a, b] = [fails("a"), fails("b")];
  await using running = await container([a, b]).start();
  const error = (await failure(running.scope([], { a, b }, () => "fine"))) as Suppressing;
  t.match(error, { message: "cleanup of b", suppressed: { message: "cleanup of a" } });
});

/** An error that names another, one step further in, as its cause. */
const notFound = (error: unknown): Error =>
  new Error("not found", { cause: new Error("in between", { cause: error }) });

t.test(
  "an error that a generator makes of the handler's takes its place; a failure of its cleanup does not",
  async (t) => {
    const answers = resource("answers", {
      lifetime: "request",
      *start() {
        try {
          yield 1;
        } catch (error) {
          throw notFound(error);
        }
      },
    });
    const breaks = resource("breaks", {
      lifetime: "request",
      async *start() {
        try {
          yield 1;
        } finally {
          await Promise.reject(new Error("rollback failed"));
        }
      },
    });
    await using running = await container([answers, breaks]).start();
    const cause = new Error("the real cause");
    const answered = await failure(running.scope([], { answers }, () => Promise.reject(cause)));
    t.equal((answered as Error).message, "not found");
    const broken = (await failure(running.scope([], { breaks }, () => Promise.reject(cause)))) as Suppressing;
    t.equal(broken, cause);
    t.match(broken.suppressed, { message: "rollback failed" });
  },
);

t.test("what using in a generator suppresses is kept apart from what it throws", async (t) => {
  const uses = resource("uses", {
    lifetime: "request",
    async *start() {
      await using _held = { [Symbol.asyncDispose]: () => Promise.reject(new Error("dispose failed")) };
      yield 1;
    },
  });
  await using running = await container([uses]).start();
  const cause = new Error("the real cause");
  const error = (await failure(running.scope([], { uses }, () => Promise.reject(cause)))) as Suppressing;
  t.equal(error, cause);
  t.match(error.suppressed, { message: "dispose failed" });
});

t.test(
  "failures before and after the reply are all attached, when a framework settles and closes a scope",
  async (t) => {
    const late = fails("late");
    const early = resource("early", {
      lifetime: "handler",
      start: () => 1,
      stop: () => {
        throw new Error("cleanup of early");
      },
    });
    await using running = await container([late, early]).start();
    const scope = running.scope();
    await scope.resolve({ late, early });
    const cause = new Error("the real cause");
    t.equal(await failure(scope.settle({ error: cause })), cause);
    t.equal(await failure(scope.close({ error: cause })), cause);
    t.match(cause, {
      suppressed: { error: { message: "cleanup of late" }, suppressed: { message: "cleanup of early" } },
    });
  },
);

t.test("an error that is thrown again and again carries the failures of its last scope alone", async (t) => {
  const a = fails("a");
  const shared = new Error("not found") as Suppressing;
  await using running = await container([a]).start();
  for (let i = 0; i < 3; i++) t.equal(await failure(running.scope([], { a }, () => Promise.reject(shared))), shared);
  t.match(shared.suppressed, { message: "cleanup of a", suppressed: undefined });
});

t.test("what an error suppressed before is kept", async (t) => {
  const a = fails("a");
  const error = Object.assign(new Error("pair"), { suppressed: new Error("before") });
  await using running = await container([a]).start();
  t.equal(await failure(running.scope([], { a }, () => Promise.reject(error))), error);
  t.match(error.suppressed, { error: { message: "cleanup of a" }, suppressed: { message: "before" } });
});

t.test("an error that nothing can be attached to comes in one that holds both", async (t) => {
  const a = fails("a");
  await using running = await container([a]).start();
  for (const thrown of ["a text", Object.freeze(new Error("frozen")), undefined]) {
    // oxlint-disable-next-line no-throw-literal, only-throw-error -- anything can be thrown
    const error = await failure(
      running.scope([], { a }, () => {
        throw thrown;
      }),
    );
    t.match(error, { name: "SuppressedError", suppressed: { message: "cleanup of a" } });
    t.equal((error as { readonly error?: unknown }).error, thrown);
  }
});

t.test("a generator that swallows the error while another cleanup fails hides neither", async (t) => {
  const mute = resource("mute", {
    lifetime: "request",
    *start() {
      try {
        yield 1;
      } catch {
        // that is the mistake
      }
    },
  });
  const a = fails("a");
  await using running = await container([a, mute]).start();
  const error = await failure(running.scope([], { a, mute }, () => Promise.reject(new Error("the real cause"))));
  t.match(error, {
    code: "GENERATOR_SWALLOWED_ERROR",
    cause: { message: "the real cause" },
    suppressed: { message: "cleanup of a" },
  });
});
