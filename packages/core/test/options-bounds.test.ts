import t from "tap";
import * as v from "valibot";
import {
  checkOptions,
  countSchema,
  eitherSchema,
  functionSchema,
  hasMethods,
  msSchema,
  OptionsError,
  pemSchema,
  recordOf,
  secretSchema,
  shareSchema,
  text,
  textSchema,
  wholeNumber,
  withMethods,
} from "../src/driver.ts";
import { pemListSchema } from "../src/options/atoms.ts";
import { breakerSchema } from "../src/guard/schema.ts";
import { callRules } from "../src/guard/options.ts";
import { nearest } from "../src/options/nearest.ts";
import { unknownKey, wrongType } from "../src/options/problems.ts";
import { share } from "../src/options/rules.ts";
import { parseOptions } from "../src/options/schema.ts";
import { assertShape, checkShape, shape } from "../src/options/shape.ts";
import { Secret } from "../src/index.ts";

t.test("the nearest word is at most two letters away, or a third of its own, and the first of equals", (t) => {
  t.equal(nearest("abcd", ["abXX"]), "abXX");
  t.equal(nearest("abcd", ["aXXX"]), undefined);
  t.equal(nearest("abcdefghijkl", ["abcdefghXXXX"]), "abcdefghXXXX", "four of twelve");
  t.equal(nearest("abcdefghijkl", ["abcdefgXXXXX"]), undefined);
  t.equal(nearest("color", ["colour", "colors"]), "colour");
  t.equal(nearest("colour", ["col", "color", "colours"]), "color");
  t.equal(nearest("colours", ["colxrxx", "colour"]), "colour", "the nearer one, though it comes later");
  t.equal(nearest("x", []), undefined);
  t.end();
});

t.test("letters that are missing, too many, wrong or swapped are counted, upper and lower case are not", (t) => {
  t.equal(nearest("tmeout", ["timeout"]), "timeout");
  t.equal(nearest("ttimeout", ["timeout"]), "timeout");
  t.equal(nearest("timeuot", ["timeout"]), "timeout");
  t.equal(nearest("out", ["timeout"]), undefined, "four letters are missing");
  t.equal(nearest("timeout", ["out"]), undefined, "four letters are too many");
  t.equal(nearest("TIMEOUT", ["timeoff", "timeout"]), "timeout");
  t.equal(nearest("timeout", ["timeoutMS"]), "timeoutMS", "a unit is forgotten easily");
  t.equal(nearest("size", ["side", "sizeBytes"]), "sizeBytes", "which is nearer than any other word");
  t.equal(nearest("maxbodysize", ["maxBodySizeBytes"]), "maxBodySizeBytes");
  t.end();
});

t.test("an unknown key is answered with the nearest known one, or with all", (t) => {
  t.equal(unknownKey("colr", ["size", "color"]), 'is not an option; did you mean "color"?');
  t.equal(unknownKey("zebra", ["size", "color"]), "is not an option; known: size, color");
  t.end();
});

t.test("what was received is shown where it can be no secret, its type otherwise", (t) => {
  const shown = (value: unknown, showsText?: boolean): string => wrongType("x", value, showsText).slice(21);
  t.strictSame(
    [5, NaN, true, null].map((value) => shown(value)),
    ["5", "NaN", "true", "null"],
  );
  t.strictSame(
    ["hunter2", [], {}, undefined].map((value) => shown(value)),
    ["a string", "an array", "an object", "a undefined"],
  );
  t.equal(
    shown(() => 1),
    "a function",
  );
  t.equal(shown('say "a"', true), '"say \\"a\\""');
  t.equal(shown(["hunter2"], true), "an array");
  t.equal(shown(1, true), "1");
  t.end();
});

t.test("an error of options names where each value comes from, and belongs to the first resource", (t) => {
  const error = new OptionsError([
    { resource: "db", path: "url", message: "is missing", source: "config/app.yaml:3:9" },
    { resource: "cache", path: "", message: "is wrong" },
  ]);
  t.equal(error.message, "2 options are wrong:\n  db.url: is missing (config/app.yaml:3:9)\n  cache: is wrong");
  t.equal(error.resource, "db");
  t.equal(error.problems.length, 2);
  t.end();
});

t.test("whole numbers are as large as a number can be exact", (t) => {
  t.equal(wholeNumber(0)(Number.MAX_SAFE_INTEGER), undefined);
  t.match(wholeNumber(0)(Number.MAX_SAFE_INTEGER + 1), /must be at most 9007199254740991/);
  t.equal(wholeNumber(0)(0), undefined);
  t.equal(wholeNumber(-5)(-5), undefined);
  t.equal(share()(Number.MIN_VALUE), undefined);
  t.equal(share()(-1), "must be above 0");
  t.equal(share(true)(1.01), "must be at most 1");
  t.end();
});

t.test("an object with methods may be a function, not a text with a method of that name", (t) => {
  const rule = withMethods("a list", "slice");
  t.equal(rule([]), undefined);
  t.equal(rule("text"), "must be a list");
  t.equal(rule(undefined), "must be a list");
  t.equal(rule({ slice: 5 }), "must be a list");
  t.equal(withMethods("anything")({}), undefined);
  t.notOk(hasMethods(null, "a"));
  t.notOk(hasMethods("text", "slice"));
  t.notOk(
    hasMethods(() => 1, "call"),
    "a client is an object",
  );
  t.ok(hasMethods({ a: () => 1, b: () => 1 }, "a", "b"));
  t.notOk(hasMethods({ a: () => 1 }, "a", "b"));
  t.end();
});

t.test("a record with right values only is right, an empty one too", (t) => {
  const record = recordOf(text());
  t.equal(record({}), undefined);
  t.equal(record({ a: "x", b: "y" }), undefined);
  t.strictSame(record({ a: "x", b: "" }), [{ path: "b", message: "must not be empty" }]);
  t.end();
});

t.test("a shape whose rules between options all hold says nothing, and one that fails does not hide the next", (t) => {
  interface Range {
    readonly min?: number | undefined;
    readonly max?: number | undefined;
  }
  const range = shape<Range>(
    () => ({ min: wholeNumber(0), max: wholeNumber(0) }),
    ({ min = 0, max = 10 }) => (min > max ? { path: "min", message: "must not exceed max" } : undefined),
    ({ max = 10 }) => (max > 100 ? undefined : { path: "max", message: "must be above 100" }),
  );
  t.equal(range({ min: 1, max: 101 }), undefined);
  t.strictSame(range({ min: 11, max: 10 }), [
    { path: "min", message: "must not exceed max" },
    { path: "max", message: "must be above 100" },
  ]);
  t.doesNotThrow(() => assertShape("range", range, { max: 101 }));
  t.throws(() => checkShape("range", range, { min: 0, max: 0 }), { message: /range\.max: must be above 100/ });
  t.end();
});

t.test("options of a call may have no time left, and no bound of time", (t) => {
  const call = shape<{ timeoutMs?: number; signal?: AbortSignal; idempotent?: boolean }>(() => callRules());
  t.equal(call({ timeoutMs: 0 }), undefined);
  t.equal(call({ timeoutMs: Number.POSITIVE_INFINITY, signal: AbortSignal.abort(), idempotent: false }), undefined);
  t.match(call({ timeoutMs: -1, signal: {}, idempotent: 1 }), [
    { path: "timeoutMs", message: "must be at least 0 ms" },
    { path: "signal", message: "must be an AbortSignal" },
    { path: "idempotent", message: "expected boolean, received 1" },
  ]);
  t.end();
});

t.test("the option `breaker` of a driver is its options, or false for none", (t) => {
  const schema = v.strictObject({ breaker: v.optional(breakerSchema()) });
  const problems = (breaker: unknown): string[] =>
    parseOptions("db", schema, { breaker }).problems.map(({ path, message }) => `${path}: ${message}`);
  t.strictSame(problems(false), []);
  t.strictSame(problems({ rampMs: 5 }), []);
  t.strictSame(problems(true), ["breaker: expected an object, received true"]);
  t.strictSame(problems({ rampMs: 0, failureRatio: 2 }), [
    "breaker.rampMs: must be at least 1 ms",
    "breaker.failureRatio: must be at most 1",
  ]);
  t.end();
});

t.test("the parts of schemas take what they say, to the bound", (t) => {
  const takes = (schema: v.GenericSchema<unknown, unknown>, value: unknown): boolean => v.is(schema, value);
  t.strictSame(
    [1, 0, 2 ** 31 - 1, 2 ** 31].map((value) => takes(msSchema(), value)),
    [true, false, true, false],
  );
  t.strictSame(
    [0, 10, 11].map((value) => takes(msSchema(0, 10), value)),
    [true, true, false],
  );
  t.strictSame(
    [3, 4, 5, 6].map((value) => takes(countSchema(4, 5), value)),
    [false, true, true, false],
  );
  t.ok(takes(countSchema(4), 1e9));
  t.strictSame(
    [0, 0.1, 1].map((value) => takes(shareSchema(), value)),
    [false, true, true],
  );
  t.ok(takes(shareSchema(true), 0));
  t.strictSame(
    ["", "x", 5].map((value) => takes(textSchema(), value)),
    [false, true, false],
  );
  t.strictSame(
    [() => 1, 5].map((value) => takes(functionSchema("a hook"), value)),
    [true, false],
  );
  t.strictSame(
    ["", "x", Buffer.from("x"), 5].map((value) => takes(pemSchema(), value)),
    [false, true, true, false],
  );
  t.strictSame(
    [[], ["x", ""], ["x"], "x", ""].map((value) => takes(pemListSchema(), value)),
    [true, false, true, true, false],
  );
  t.strictSame(
    ["", "x", () => "x", new Secret("x"), 5].map((value) => takes(secretSchema(), value)),
    [false, true, true, true, false],
  );
  t.end();
});

t.test("a credential may have rules of its own, which a function that gives it escapes until then", (t) => {
  const pin = secretSchema((value) => /^\d+$/.test(value), "digits");
  t.ok(v.is(pin, "1234"));
  t.notOk(v.is(pin, "hunter2"));
  t.ok(v.is(pin, () => "hunter2"));
  const schema = v.strictObject({ pin });
  t.match(parseOptions("d", schema, { pin: "x" }).problems, [{ path: "pin", message: "must be digits" }]);
  t.end();
});

t.test("what options hold is frozen to the bottom, what they were given as is not touched", (t) => {
  class Client {
    readonly parts = { a: 1 };
  }
  const schema = v.strictObject({
    list: v.array(v.strictObject({ a: v.optional(v.number(), 7) })),
    client: v.instance(Client),
    bare: v.optional(v.record(v.string(), v.number())),
  });
  const given = {
    list: [{ a: undefined }],
    client: new Client(),
    bare: Object.assign(Object.create(null), { x: 1, y: undefined }),
  };
  const checked = checkOptions("d", schema, { ...given, list: [{}] });
  t.strictSame(checked.list, [{ a: 7 }]);
  t.ok(Object.isFrozen(checked) && Object.isFrozen(checked.list) && Object.isFrozen(checked.list[0]));
  t.equal(checked.client, given.client);
  t.notOk(Object.isFrozen(checked.client.parts), "a client of yours stays yours");
  t.strictSame({ ...checked.bare }, { x: 1 }, "undefined is the default, also inside");
  t.notOk(Object.isFrozen(given.list));
  t.end();
});

t.test("options that are refused say so once, options that are not an object too", (t) => {
  const schema = v.strictObject({ a: v.number() });
  t.throws(() => checkOptions("d", schema, { a: "x" }), {
    code: "OPTIONS_INVALID",
    message: /1 option is wrong:\n {2}d\.a: expected number, received a string/,
  });
  t.throws(() => checkOptions("d", schema, [1]), { message: /d: expected an object, received an array/ });
  t.strictSame(parseOptions("d", v.array(v.number()), [1, 2]).options, [1, 2], "where a list is meant it is right");
  t.throws(() => checkOptions("d", schema, undefined), { message: /d: is missing: expected an object/ });
  t.end();
});

t.test("a typo inside the simpler of two forms is told as one of the object", (t) => {
  const tls = v.strictObject({ ca: v.optional(v.string()) });
  const schema = v.strictObject({
    tls: v.optional(eitherSchema(tls, (value) => typeof value === "boolean", v.boolean())),
  });
  t.strictSame(checkOptions("d", schema, { tls: false }), { tls: false });
  t.strictSame(checkOptions("d", schema, { tls: { ca: "x" } }), { tls: { ca: "x" } });
  t.match(parseOptions("d", schema, { tls: { cas: "x" } }).problems, [
    { path: "tls.cas", message: 'is not an option; did you mean "ca"?' },
  ]);
  t.end();
});
