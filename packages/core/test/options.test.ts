import t from "tap";
import * as v from "valibot";
import {
  anything,
  assertShape,
  checkOptions,
  checkShape,
  claimDatabase,
  countSchema,
  eitherSchema,
  flag,
  func,
  funcOr,
  functionSchema,
  givenSchema,
  hasMethods,
  listOf,
  literalOr,
  milliseconds,
  msSchema,
  oneOf,
  OptionsError,
  recordOf,
  required,
  rule,
  secretSchema,
  shape,
  shareSchema,
  signal,
  text,
  textSchema,
  tlsSettingsSchema,
  wholeNumber,
  withMethods,
  type Rule,
} from "../src/driver.ts";
import { Secret, StewardError } from "../src/index.ts";
import { share } from "../src/options/rules.ts";
import { parseOptions } from "../src/options/schema.ts";
import { problemsIn } from "../src/options/shape.ts";

interface Sample {
  readonly timeoutMs?: number | undefined;
  readonly mode?: "fast" | "safe" | undefined;
  readonly name: string;
  readonly inner?: { readonly count?: number | undefined } | undefined;
  readonly minMs?: number | undefined;
}

const inner = shape<{ readonly count?: number | undefined }>(() => ({ count: wholeNumber(1) }));
const sample = shape<Sample>(
  () => ({
    timeoutMs: milliseconds(),
    mode: oneOf("fast", "safe"),
    name: required(text()),
    inner,
    minMs: milliseconds(0),
  }),
  ({ timeoutMs = 10, minMs = 0 }) =>
    minMs > timeoutMs ? { path: "minMs", message: "must not exceed timeoutMs" } : undefined,
);

function problemsOf(given: unknown, of: Rule = sample): string[] {
  return problemsIn("s", of(given)).map(({ path, message }) => `${path}: ${message}`);
}

t.test("a shape finds every problem at once, with the path and the nearest known option", (t) => {
  t.strictSame(problemsOf({ timeout: 1, mode: "quick", inner: { cout: 1, count: 0 }, minMs: "5s" }), [
    'timeout: is not an option; did you mean "timeoutMs"?',
    'mode: expected "fast" | "safe", received "quick"',
    'inner.cout: is not an option; did you mean "count"?',
    "inner.count: must be at least 1",
    "minMs: expected number, received a string",
    "name: is missing: expected string",
  ]);
  t.strictSame(problemsOf({ name: "x", zebra: 1 }), [
    "zebra: is not an option; known: timeoutMs, mode, name, inner, minMs",
  ]);
  t.strictSame(problemsOf({ name: "x", minMs: 11 }), ["minMs: must not exceed timeoutMs"]);
  t.strictSame(problemsOf({ name: "x", minMs: 11, mode: 1 }), ['mode: expected "fast" | "safe", received 1']);
  for (const [given, shown] of [
    ["text", "a string"],
    [null, "null"],
    [[], "an array"],
    [1, "1"],
  ])
    t.strictSame(problemsOf(given), [`: expected an object, received ${String(shown)}`]);
  t.end();
});

t.test("a shape takes undefined as the default and 0 as 0, and what it gives is frozen and has neither", (t) => {
  const given = { name: "x", mode: undefined, minMs: 0, timeoutMs: undefined };
  const checked = checkShape("s", sample, given);
  t.strictSame(checked, { name: "x", minMs: 0 });
  t.throws(() => Object.assign(checked, { name: "y" }), TypeError);
  t.notOk(Object.isFrozen(given));
  const nothing = shape<{ a?: number | undefined }>(() => ({ a: milliseconds() }));
  t.strictSame(checkShape("s", nothing, undefined), {});
  t.throws(() => checkShape("s", sample, undefined), { message: /s\.name: is missing/ });
  t.end();
});

t.test("the rules of a shape are made at its first check, and once", (t) => {
  let made = 0;
  const counted = shape<{ a?: number | undefined }>(() => {
    made++;
    return { a: milliseconds() };
  });
  t.equal(made, 0);
  assertShape("s", counted, {});
  assertShape("s", counted, { a: 1 });
  t.equal(made, 1);
  t.end();
});

t.test("what is refused is one OPTIONS_INVALID with all problems, known across copies of the package", (t) => {
  const thrown = ((): unknown => {
    try {
      assertShape("cache", sample, { nam: "x", minMs: -1 });
      return undefined;
    } catch (error) {
      return error;
    }
  })();
  t.ok(thrown instanceof OptionsError && thrown instanceof StewardError);
  t.match(thrown, { code: "OPTIONS_INVALID", resource: "cache", name: "OptionsError" });
  t.equal(
    (thrown as Error).message,
    [
      "3 options are wrong:",
      '  cache.nam: is not an option; did you mean "name"?',
      "  cache.minMs: must be at least 0 ms",
      "  cache.name: is missing: expected string",
    ].join("\n"),
  );
  t.match(new OptionsError([{ resource: "s", path: "", message: "is wrong" }]).message, /^1 option is wrong:\n {2}s: /);
  t.end();
});

t.test("every rule says in the same words what is wrong, and never what stands in the place of a secret", (t) => {
  const cases: readonly (readonly [Rule, readonly unknown[], readonly (readonly [unknown, string])[]])[] = [
    [
      milliseconds(),
      [1, 0.5 + 0.5, 2 ** 31 - 1],
      [
        [0, "must be at least 1 ms"],
        [-5, "must be at least 1 ms"],
        [2 ** 31, "must be at most 2147483647 ms"],
        [Infinity, "must be at most 2147483647 ms"],
        [NaN, "expected number, received NaN"],
        ["5s", "expected number, received a string"],
        [1n, "expected number, received a bigint"],
      ],
    ],
    [milliseconds(0, 10), [0, 10], [[11, "must be at most 10 ms"]]],
    [
      wholeNumber(1, 5),
      [1, 5],
      [
        [1.5, "must be a whole number"],
        [0, "must be at least 1"],
        [6, "must be at most 5"],
        [NaN, "expected number, received NaN"],
        [true, "expected number, received true"],
      ],
    ],
    [
      share(),
      [0.1, 1],
      [
        [0, "must be above 0"],
        [1.1, "must be at most 1"],
        [NaN, "expected number, received NaN"],
        ["x", "expected number, received a string"],
      ],
    ],
    [share(true), [0, 1], [[-0.1, "must be at least 0"]]],
    [
      flag(),
      [true, false],
      [
        ["false", "expected boolean, received a string"],
        [0, "expected boolean, received 0"],
      ],
    ],
    [
      text(),
      ["x"],
      [
        ["", "must not be empty"],
        [["hunter2"], "expected string, received an array"],
      ],
    ],
    [text(true), [""], [[{ a: "hunter2" }, "expected string, received an object"]]],
    [func(), [() => 1], [["hunter2", "expected function, received a string"]]],
    [anything(), [1, null, "x"], []],
    [
      oneOf("a", "b"),
      ["a", "b"],
      [
        ["c", 'expected "a" | "b", received "c"'],
        [1, 'expected "a" | "b", received 1'],
      ],
    ],
    [
      withMethods("a clock", "now", "sleep"),
      [{ now: () => 1, sleep: () => 1 }, Object.assign(() => 1, { now: () => 1, sleep: () => 1 })],
      [
        [{ now: () => 1 }, "must be a clock"],
        [null, "must be a clock"],
        ["clock", "must be a clock"],
      ],
    ],
    [signal(), [new AbortController().signal], [[{}, "must be an AbortSignal"]]],
    [literalOr(false, milliseconds()), [false, 5], [[0, "must be at least 1 ms"]]],
    [funcOr(text()), [() => 1, "x"], [["", "must not be empty"]]],
    [rule("even", (value) => (Number(value) % 2 === 0 ? undefined : "must be even")), [2], [[1, "must be even"]]],
  ];
  for (const [of, right, wrong] of cases) {
    for (const value of right) t.equal(of(value), undefined, `${of.expects}: ${String(value)}`);
    for (const [value, message] of wrong) t.equal(of(value), message);
  }
  t.equal(literalOr(false, milliseconds()).expects, "false | number");
  t.equal(funcOr(text()).expects, "function | string");
  t.equal(required(text())(""), "must not be empty");
  t.end();
});

t.test("lists and records say which of their entries is wrong", (t) => {
  const list = listOf(text());
  t.equal(list(["a"]), undefined);
  t.equal(list("a"), "expected an array, received a string");
  t.strictSame(list(["a", "", 5]), [
    { path: "1", message: "must not be empty" },
    { path: "2", message: "expected string, received 5" },
  ]);
  const record = recordOf(inner);
  t.equal(record({ a: { count: 1 } }), undefined);
  t.strictSame(record({ a: { count: 0 } }), [{ path: "a.count", message: "must be at least 1" }]);
  t.equal(record([]), "expected an object, received an array");
  t.equal(record(null), "expected an object, received null");
  t.equal(record("x"), "expected an object, received a string");
  t.strictSame(problemsIn("s", "is wrong"), [{ resource: "s", path: "", message: "is wrong" }]);
  t.strictSame(problemsIn("s", undefined), []);
  t.end();
});

t.test("the options of drivers speak with the voice of the rules", (t) => {
  const tls = tlsSettingsSchema("servername");
  const schema = v.strictObject({
    timeoutMs: v.optional(msSchema()),
    count: v.optional(countSchema(1, 5)),
    share: v.optional(shareSchema()),
    name: v.optional(textSchema()),
    resume: v.optional(functionSchema()),
    password: v.optional(secretSchema()),
    client: v.optional(givenSchema((value) => hasMethods(value, "dispatch"), "a dispatcher")),
    tls: v.optional(eitherSchema(tls, (value) => value === true, v.literal(true))),
    needed: msSchema(),
  });
  const problems = (given: object): string[] =>
    parseOptions("d", schema, given).problems.map(({ path, message }) => `${path}: ${message}`);
  t.strictSame(
    problems({
      timeoutMs: 0,
      count: 1.5,
      share: 2,
      name: "",
      resume: 1,
      password: 5,
      client: {},
      tls: { cert: "c" },
      zebra: 1,
    }),
    [
      "timeoutMs: must be at least 1 ms",
      "count: must be a whole number",
      "share: must be at most 1",
      "name: must not be empty",
      "resume: must be a function",
      "password: must be text or a function that gives it",
      "client: must be a dispatcher",
      "tls: cert and key need each other",
      "needed: is missing: expected number",
      "zebra: is not an option; known: timeoutMs, count, share, name, resume, password, client, tls, needed",
    ],
  );
  t.strictSame(problems({ needed: 1, tls: { cer: "x", ca: [1], key: "" } }), [
    "tls.ca: must be PEM text, a Buffer of it, or a list of them",
    "tls.key: must be PEM text, a Buffer of it, or a list of them",
    'tls.cer: is not an option; did you mean "cert"?',
  ]);
  const right = {
    needed: 1,
    password: "hunter2",
    tls: { ca: ["a", Buffer.from("b")], cert: "c", key: new Uint8Array(1) },
    client: { dispatch: () => 1 },
  };
  const checked = checkOptions("d", schema, right);
  t.ok(checked.password instanceof Secret);
  t.equal(checked.password?.reveal(), "hunter2");
  t.equal(checkOptions("d", schema, { needed: 1, password: checked.password }).password, checked.password);
  t.strictSame(checkOptions("d", schema, { needed: 1, tls: true }).tls, true);
  t.strictSame(problems({ needed: 1, password: "" }), ["password: must be text or a function that gives it"]);
  t.end();
});

t.test("an object with methods that an option asks for stays what it is: they may use `this`", (t) => {
  const bus = { count: 0, publish: (): unknown => (bus.count += 1) };
  const schema = v.strictObject({
    bus: v.optional(v.union([v.literal(false), givenSchema<typeof bus>((one) => one === bus, "a bus")])),
    all: v.array(givenSchema<typeof bus>((one) => one === bus, "a bus")),
    retry: v.strictObject({ when: functionSchema(), times: v.optional(v.number()) }),
  });
  const retry = { when: () => {}, times: undefined };
  const checked = checkOptions("x", schema, { bus, all: [bus], retry });
  t.equal(checked.bus, bus);
  t.equal(checked.all[0], bus);
  bus.publish();
  t.equal(bus.count, 1, "and is not frozen");
  t.strictSame(Object.keys(checked.retry), ["when"]);
  t.ok(Object.isFrozen(checked.retry) && Object.isFrozen(checked.all));
  t.end();
});

t.test("checks of valibot without a message of their own are given in our words", (t) => {
  const schema = v.strictObject({
    least: v.optional(v.pipe(v.number(), v.minValue(1))),
    most: v.optional(v.pipe(v.number(), v.maxValue(5))),
    above: v.optional(v.pipe(v.number(), v.gtValue(0))),
    below: v.optional(v.pipe(v.number(), v.ltValue(5))),
    step: v.optional(v.pipe(v.number(), v.multipleOf(2))),
    whole: v.optional(v.pipe(v.number(), v.integer())),
    safe: v.optional(v.pipe(v.number(), v.safeInteger())),
    finite: v.optional(v.pipe(v.number(), v.finite())),
    full: v.optional(v.pipe(v.string(), v.nonEmpty())),
    long: v.optional(v.pipe(v.string(), v.minLength(2))),
    short: v.optional(v.pipe(v.string(), v.maxLength(2))),
    url: v.optional(v.pipe(v.string(), v.url())),
    word: v.optional(v.pipe(v.string(), v.regex(/^\w+$/))),
    email: v.optional(v.pipe(v.string(), v.email())),
    own: v.optional(v.pipe(v.number(), v.minValue(1, "our own message"))),
    list: v.optional(v.array(v.string())),
    union: v.optional(v.union([v.string(), v.boolean()])),
  });
  const given = {
    least: 0,
    most: 6,
    above: 0,
    below: 5,
    step: 3,
    whole: 1.5,
    safe: 2 ** 60,
    finite: Infinity,
    full: "",
    long: "a",
    short: "abc",
    url: "x",
    word: "a b",
    email: "hunter2",
    own: 0,
    list: "x",
    union: 5,
  };
  t.strictSame(
    parseOptions("d", schema, given).problems.map(({ path, message }) => `${path}: ${message}`),
    [
      "least: must be at least 1",
      "most: must be at most 5",
      "above: must be above 0",
      "below: must be below 5",
      "step: must be a multiple of 2",
      "whole: must be a whole number",
      "safe: must be a whole number",
      "finite: must be finite",
      "full: must not be empty",
      "long: must have a length of at least 2",
      "short: must have a length of at most 2",
      "url: must be a URL",
      "word: must match /^\\w+$/",
      "email: is not a valid email",
      "own: our own message",
      "list: expected an array, received a string",
      "union: expected string | boolean, received 5",
    ],
  );
  t.end();
});

t.test("instanceof holds for errors of another copy of the package, and for subclasses only for their own", (t) => {
  const mark = Symbol.for("steward.error");
  const copy = Object.assign(Object.create({ [mark]: true }) as object, { code: "OTHER" }); // as another copy made it
  t.ok(copy instanceof StewardError);
  t.notOk(copy instanceof OptionsError);
  t.ok(Object.create({ [Symbol.for("steward.options-error")]: true }) instanceof OptionsError);
  class Mine extends StewardError {}
  t.ok(new Mine("A", "b") instanceof Mine);
  t.ok(new Mine("A", "b") instanceof StewardError);
  t.notOk(new StewardError("A", "b") instanceof Mine);
  for (const other of [undefined, null, "x", {}, new Error("x")]) t.notOk((other as unknown) instanceof StewardError);
  t.end();
});

t.test("near misses are found inside optionals, records, unions and variants, and beside the options", (t) => {
  const inner = v.strictObject({ algorithm: v.string(), rotateEveryMs: v.optional(v.number()) });
  const schema = v.strictObject({
    keysets: v.optional(v.record(v.string(), inner), {}),
    tls: v.optional(v.union([v.boolean(), v.strictObject({ rejectUnauthorized: v.optional(v.boolean()) })])),
    scheme: v.optional(
      v.variant("kind", [
        v.strictObject({ kind: v.literal("a"), memoryKiB: v.number() }),
        v.strictObject({ kind: v.literal("b"), iterations: v.number() }),
      ]),
    ),
    deep: v.optional(v.strictObject({ one: v.strictObject({ two: msSchema() }) })),
    mode: v.optional(v.picklist(["fast", "safe"])),
  });
  const problems = (given: object, alsoKnown?: readonly string[]): string[] =>
    parseOptions("d", schema, given, alsoKnown).problems.map(({ path, message }) => `${path}: ${message}`);
  t.strictSame(problems({ keysets: { box: { algorithm: "x", rotateEvery: 5 }, lid: {} } }), [
    'keysets.box.rotateEvery: is not an option; did you mean "rotateEveryMs"?',
    "keysets.lid.algorithm: is missing: expected string",
  ]);
  t.match(problems({ tls: { rejectUnauthorised: true } }), [/^tls/]);
  t.strictSame(problems({ scheme: { kind: "b", iterations: 1, memoryKib: 5 } }), [
    'scheme.memoryKib: is not an option; did you mean "memoryKiB"?',
  ]);
  t.strictSame(problems({ deep: { one: {} } }), ["deep.one.two: is missing: expected number"]);
  t.strictSame(problems({ deep: { one: { two: 1, twoo: 2 } } }, ["twoos"]), [
    'deep.one.twoo: is not an option; did you mean "two"?',
  ]);
  t.strictSame(problems({ critcality: "optional" }, ["criticality"]), [
    'critcality: is not an option; did you mean "criticality"?',
  ]);
  t.strictSame(problems({ critcality: "optional" }), [
    "critcality: is not an option; known: keysets, tls, scheme, deep, mode",
  ]);
  t.strictSame(problems({ deep: undefined, mode: "quick" }), ['mode: expected "fast" | "safe", received "quick"']);
  t.strictSame(problems([] as object), [": expected an object, received an array"]);
  t.end();
});

t.test("rules inside shapes keep their paths, through lists and records", (t) => {
  const nested = shape<{ readonly list?: unknown; readonly record?: unknown }>(() => ({
    list: listOf(sample),
    record: recordOf(listOf(text())),
  }));
  t.strictSame(problemsOf({ list: [5, { name: "x", mode: 1 }], record: { a: ["", "b"] } }, nested), [
    "list.0: expected an object, received 5",
    'list.1.mode: expected "fast" | "safe", received 1',
    "record.a.0: must not be empty",
  ]);
  t.strictSame(problemsOf({ toString: 1 }, nested), ["toString: is not an option; known: list, record"]);
  t.end();
});

t.test("a database is marked by the first that asks, and refuses another environment", async (t) => {
  let table: { environment: string }[] | undefined;
  let mayMark = false;
  const query = async (statement: string): Promise<readonly Record<string, unknown>[]> => {
    if (statement.includes("to_regclass")) return [{ made: table !== undefined }];
    if (statement.startsWith("select")) return table ?? [];
    if (!mayMark) throw Object.assign(new Error("permission denied for schema public"), { code: "42501" });
    table ??= [];
    const value = /values \('(.*?)'\)/.exec(statement)?.[1];
    if (value !== undefined && table.length === 0) table.push({ environment: value });
    return [];
  };
  const claim = (environment: string): Promise<void> => claimDatabase("db", environment, query);
  await t.rejects(claim("production"), {
    code: "ENVIRONMENT_MISMATCH",
    message: /db: this user may not read or make the mark of the environment: .*42501.*steward_environment/,
    resource: "db",
  });
  mayMark = true;
  await claim("production");
  mayMark = false;
  await claim("production"); // a user who may only read is enough
  await t.rejects(claim("development"), {
    code: "ENVIRONMENT_MISMATCH",
    message: 'db: the database is marked for environment "production", and this is "development"',
    retryable: false,
  });
  mayMark = true;
  table = [];
  await claim("development");
  t.same(table, [{ environment: "development" }], "what has lost its mark is marked anew");
  await t.rejects(
    claimDatabase("db", "production", () => Promise.reject(new Error("broken pipe"))),
    { message: "broken pipe" },
  );
});
