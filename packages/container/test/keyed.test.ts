import { container } from "../src/index.ts";
import { cached, input, isStewardError, resource } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";

/** Models by their size, and a log of what starts and stops. */
function models({ max = 2, ttlMs = 1_000 }: { max?: number; ttlMs?: number } = {}) {
  const clock = new FakeClock();
  const log: string[] = [];
  const size = input<string>()("size");
  const config = resource("config", { start: () => ({ folder: "models" }) });
  const model = resource("model", {
    needs: { size, config },
    start: async ({ size, config }) => {
      await clock.sleep(10);
      log.push(`+${size}`);
      if (size === "broken") throw new Error("no such model");
      return { path: `${config.folder}/${size}` };
    },
    stop: ({ path }) => void log.push(`-${path.slice(7)}`),
  });
  const need = cached(model, { key: size, ttlMs, max });
  const predictor = resource("predictor", {
    lifetime: "request",
    needs: { models: need },
    start:
      ({ models }) =>
      async (size: string) =>
        (await models(size)).path,
  });
  return { clock, log, size, config, model, need, predictor, app: container([predictor], { clock }) };
}

t.test("there is an instance for each key, started once however many ask", async (t) => {
  const { app, clock, log, predictor } = models();
  const running = await app.start();
  const ask = (size: string) => running.scope([], { predictor }, ({ predictor }) => predictor(size));
  t.strictSame(await clock.runUntil(Promise.all([ask("small"), ask("small"), ask("large")])), [
    "models/small",
    "models/small",
    "models/large",
  ]);
  t.strictSame(log, ["+small", "+large"]);
  await clock.advance(1_000);
  t.strictSame(log, ["+small", "+large", "-small", "-large"], "what has no user stops when its time is over");
  await clock.runUntil(running.stop());
});

t.test("an instance that is too old is replaced, and stops after its last user", async (t) => {
  const { app, clock, log, need } = models();
  const running = await app.start();
  const scope = running.scope();
  const held = await clock.runUntil(scope.resolve({ models: need }));
  t.equal((await clock.runUntil(held.models("small"))).path, "models/small");
  await clock.advance(1_000);
  const again = await clock.runUntil(running.scope([], { models: need }, ({ models }) => models("small")));
  t.equal(again.path, "models/small");
  t.equal(await held.models("small"), await held.models("small"), "a scope keeps what it was given");
  t.strictSame(log, ["+small", "+small"]);
  await scope.close();
  t.strictSame(log, ["+small", "+small", "-small"]);
  await clock.runUntil(running.stop());
  t.strictSame(log, ["+small", "+small", "-small", "-small"]);
});

t.test("at the most, the one that was used longest ago gives its place", async (t) => {
  const { app, clock, log, predictor } = models({ max: 2 });
  const running = await app.start();
  const ask = (size: string) => clock.runUntil(running.scope([], { predictor }, ({ predictor }) => predictor(size)));
  for (const size of ["a", "b", "a", "c"]) await ask(size);
  t.strictSame(log, ["+a", "+b", "-b", "+c"]);
  await clock.runUntil(running.stop());
});

t.test("where all have a user one more is refused, with what to write, until one is given back", async (t) => {
  const { app, clock, need } = models({ max: 1 });
  const running = await app.start();
  const scope = running.scope();
  const held = await clock.runUntil(scope.resolve({ models: need }));
  await clock.runUntil(held.models("a"));
  const ask = (): Promise<{ path: string }> =>
    clock.runUntil(running.scope([], { models: need }, ({ models }) => models("b")));
  const error = await ask().catch((error: unknown) => error);
  t.ok(isStewardError(error, "CACHED_LIMIT"));
  t.match(error, {
    retryable: true,
    message: /all 1 cached instances of "model" have a user: raise max of cached\(model/,
  });
  await scope.close();
  t.equal((await ask()).path, "models/b");
  await clock.runUntil(running.stop());
});

t.test("a start that fails is not remembered, and costs no place", async (t) => {
  const { app, clock, log, predictor } = models({ max: 1 });
  const running = await app.start();
  const ask = (size: string) => clock.runUntil(running.scope([], { predictor }, ({ predictor }) => predictor(size)));
  await t.rejects(ask("broken"), { message: "no such model" });
  await t.rejects(ask("broken"), { message: "no such model" });
  t.equal(await ask("small"), "models/small");
  t.strictSame(log, ["+broken", "+broken", "+small"]);
  await clock.runUntil(running.stop());
});

t.test("instances follow a restart of what they hold", async (t) => {
  const { app, clock, log, predictor, config } = models();
  const running = await app.start();
  const ask = () => clock.runUntil(running.scope([], { predictor }, ({ predictor }) => predictor("a")));
  await ask();
  await clock.runUntil(running.restart(config));
  await ask();
  t.strictSame(log, ["+a", "-a", "+a"]);
  await clock.runUntil(running.stop());
});

t.test("a key that is none, a scope that has ended, and wrong options are refused", async (t) => {
  const { app, clock, model, size, need } = models();
  const running = await app.start();
  const scope = running.scope();
  const { models: get } = await scope.resolve({ models: need });
  for (const wrong of [Number.NaN, undefined, null, {}, ["a"]])
    await t.rejects(get(wrong as never), {
      code: "OPTIONS_INVALID",
      message: /must be a string, a number, a bigint or a boolean/,
    });
  await scope.close();
  await t.rejects(get("small"), { code: "SCOPE_CLOSED", message: /"model" was asked for when its scope had ended/ });
  t.throws(() => cached(model, { key: size, ttlMs: Number.NaN, max: 0, mx: 1 } as never), {
    code: "OPTIONS_INVALID",
    message: /ttlMs.*max.*mx: is not an option; did you mean "max"/s,
  });
  t.throws(() => cached(model, { ttlMs: 1, max: 2 } as never), { message: /max: needs key/ });
  t.throws(() => cached(model, { ttlMs: 1, key: model } as never), { message: /key: must be an input/ });
  const other = input<string>()("other");
  t.throws(() => cached(model, { ttlMs: 1, key: other } as never), {
    code: "NEED_INVALID",
    message: /cached\(model\) is given the key "other", which "model" does not need/,
  });
  await clock.runUntil(running.stop());
});

t.test("an override takes the place of all instances, whatever their keys", async (t) => {
  const { app, model, predictor } = models();
  await using running = await app.override(model, { path: "a fake" }).start();
  t.equal(await running.scope([], { predictor }, ({ predictor }) => predictor("small")), "a fake");
});

t.test("what lies below a keyed definition cannot have the key, and says so before anything starts", async (t) => {
  const size = input<string>()("size");
  const weights = resource("weights", { needs: { size }, start: ({ size }) => size });
  const model = resource("model", { needs: { size, weights }, start: ({ size }) => size });
  const page = resource("page", {
    lifetime: "request",
    needs: { models: cached(model, { key: size, ttlMs: 1 }) },
    start: () => 1,
  });
  await t.rejects(container([page]).start(), { code: "INPUT_MISSING", message: /"size" has no value.*weights/ });
});
