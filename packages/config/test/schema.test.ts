import { Secret } from "@steward/core";
import * as v from "valibot";
import t from "tap";
import { z } from "zod";
import {
  ConfigManager,
  config,
  duration,
  env,
  envName,
  jsonFile,
  overrides,
  port,
  secret,
  secretFiles,
  section,
  text,
  url,
  yamlFile,
} from "../src/index.ts";
import { clips, refusal, schema } from "./clips.ts";
import { Folder } from "./folder.ts";

const started = async (of: v.GenericSchema<unknown, object>, variables: Readonly<Record<string, string>>) => {
  await using manager = await new ConfigManager({ schema: of, sources: [env(variables, { prefix: "A_" })] }).start();
  return manager.client as Readonly<Record<string, unknown>>; // whatever the schema says
};

t.test("each setting has one variable, computed from its path", (t) => {
  const names = clips([env({}, { prefix: "CLIPS_" })])
    .explain()
    .map(({ variable }) => variable);
  t.same(names, [
    "PORT",
    "CLIPS_HOST",
    "CLIPS_DEBUG",
    "CLIPS_LOG_LEVEL",
    "CLIPS_DATABASE__URL",
    "CLIPS_DATABASE__MAX_CONNECTIONS",
    "CLIPS_DATABASE__ACQUIRE_TIMEOUT",
    "CLIPS_UPLOAD__MAX_SIZE",
    "CLIPS_UPLOAD__TYPES",
    "CLIPS_WEBHOOK",
    "CLIPS_SIGNING_KEY",
    "CLIPS_TENANTS",
  ]);
  t.end();
});

t.test("names that collide, or that cannot be, are refused when the settings are defined", (t) => {
  const define = (of: v.GenericSchema<unknown, object>) => () => config("settings", { schema: of, sources: [] });
  const collides = {
    code: "DEFINITION_INVALID",
    message: /"aB" and "a_b" would both be read from A_B; rename one, or give it envName/,
  };
  t.throws(define(v.strictObject({ aB: text(), a_b: text() })), collides);
  t.throws(define(v.strictObject({ key: secret(), keyFile: text() })), { message: /both be read from KEY_FILE/ });
  t.throws(define(v.strictObject({ get: text() })), { message: /"get" cannot be the name of a setting/ });
  t.throws(define(v.strictObject({ "a.b": text() })), { message: /has a dot in it/ });
  t.throws(define(v.strictObject({ key: v.optional(secret(), "x") })), {
    message: /"key" is a secret, and a secret has no default/,
  });
  t.throws(define(v.record(v.string(), text()) as v.GenericSchema<unknown, object>), {
    message: /has to be an object with known names/,
  });
  const silent = { "~standard": { version: 1, vendor: "other", validate: () => ({ value: {} }) } } as const;
  t.throws(() => config("settings", { schema: silent, sources: [] }), {
    message: /a schema of other does not say which names it has/,
  });
  t.throws(() => config("settings", { schema, sources: [], live: ["logLevle"] }), {
    message: /did you mean "logLevel"\?/,
  });
  t.throws(() => config("settings", { schema, sources: [], wacth: true } as never), {
    code: "OPTIONS_INVALID",
    message: /did you mean "watch"\?/,
  });
  t.throws(() => config("settings", { schema, sources: [], taggs: [] } as never), { message: /did you mean "tags"\?/ });
  const settings = config("settings", { schema, sources: [] });
  t.throws(() => section(settings, "databse" as never), { message: /did you mean "database"\?/ });
  t.equal(section(settings, "database"), section(settings, "database"), "the same part is the same definition");
  t.end();
});

t.test("what is given without types is refused with a code", (t) => {
  const settings = config("settings", { schema, sources: [] });
  const wrong: Readonly<Record<string, () => unknown>> = {
    "no options": () => config("settings", undefined as never),
    "options that are none": () => config("settings", 5 as never),
    "a path that is none": () => section(settings, 1 as never),
    "a folder that is none": () => secretFiles(1 as never),
    "a file that is none": () => jsonFile(undefined as never),
  };
  for (const [what, make] of Object.entries(wrong)) t.throws(make, { code: /^(OPTIONS|DEFINITION)_INVALID$/ }, what);
  t.end();
});

t.test("unions, literals, enums, nested optionals and descriptions are read through", async (t) => {
  const of = v.strictObject({
    workers: v.union([v.literal("auto"), v.pipe(v.number(), v.integer())]),
    mode: v.pipe(v.optional(v.enum({ On: "on", Off: "off" }), "on"), v.description("mode")),
    port: v.pipe(v.optional(port(), 1), envName("PORT")),
    note: v.nullish(text({ empty: true })),
    list: v.optional(v.array(v.number())),
    store: v.variant("kind", [
      v.strictObject({ kind: v.literal("disk"), path: text() }),
      v.strictObject({ kind: v.literal("s3"), bucket: text() }),
    ]),
  });
  const base = { A_STORE__KIND: "s3", A_STORE__BUCKET: "b" };
  t.match(await started(of, { ...base, A_WORKERS: "auto", A_NOTE: "", PORT: "2" }), {
    workers: "auto",
    mode: "on",
    note: "",
    port: 2,
  });
  t.match(await started(of, { ...base, A_WORKERS: "4", A_LIST: "1,2" }), {
    workers: 4,
    list: [1, 2],
    store: { kind: "s3", bucket: "b" },
  });
  t.match((await refusal([env({ ...base, A_WORKERS: "atuo" }, { prefix: "A_" })], of)).message, /workers/);
});

t.test("durations, sizes and secrets know their bounds", async (t) => {
  const of = v.strictObject({
    wait: v.optional(duration({ least: 1_000 })),
    key: v.optional(secret({ minBytes: 32 })),
    keys: v.optional(v.array(secret())),
  });
  for (const [value, message] of [
    [{ wait: 5 }, /wait: must be at least 1000 ms/],
    [{ wait: "99d" }, /wait: must be at most 2147483647 ms/],
    [{ wait: "1x" }, /wait: must be a duration/],
    [{ key: 12_345_678 }, /key: must be text; put it in quotes/],
    [{ keys: ["Change_Me"] }, /keys\.0: is a placeholder/],
  ] as const) {
    const error = await refusal([overrides(value)], of);
    t.match(error.message, message);
    t.notMatch(error.message, /12345678/);
  }
  const { keys } = await started(of, { A_KEYS: "one-k3y, two-k3y" });
  t.same(
    (keys as Secret[]).map((key) => key.reveal()),
    ["one-k3y", "two-k3y"],
  );
});

t.test("a URL has several hosts where drivers take them, and each of them is looked at", async (t) => {
  const of = v.strictObject({
    store: v.optional(secret({ protocols: ["postgres:", "mongodb:", "https:"] })),
    place: v.optional(url({ protocols: ["postgres:", "https:"] })),
  });
  for (const store of [
    "postgres://u:p,w@a:5432,b:5433/db?x=1,2",
    "mongodb://a,b:27017,[::1]:27018",
    "https://u:p,w@a/1,2",
  ])
    t.equal(((await started(of, { A_STORE: store }))["store"] as Secret).reveal(), store);
  t.match(await started(of, { A_PLACE: "postgres://a:1,b:2/db" }), { place: "postgres://a:1,b:2/db" });
  for (const [value, message] of [
    [{ store: "postgres://u:p@a:5432,b:99999/db" }, /store: must be a URL such as postgres:/],
    [{ store: "postgres://u:changeme@a:1,b:2/db" }, /store: has a placeholder as its password/],
    [{ store: "https://a:1,b:2/" }, /store: must be a URL such as/],
    [{ place: "https://a:1,b:2/" }, /place: must be a URL with postgres:/],
    [{ place: "postgres://u:p@a:1,b:2/db" }, /place: must have no password in it/],
    [{ place: 5 }, /place: must be a URL with postgres:/],
  ] as const)
    t.match((await refusal([overrides(value)], of)).message, message);
});

t.test("a schema of zod drives names, coercion, unknown names and messages", async (t) => {
  const of = z.object({
    port: z.number().int().min(1).default(3000),
    mode: z.enum(["fast", "safe"]).default("safe"),
    database: z.object({ url: z.string(), maxConnections: z.number().int().optional() }),
    origins: z.array(z.string()).default([]),
    key: z.string().transform((text) => new Secret(text)),
  });
  using folder = new Folder({
    "app.yaml": "database:\n  url: postgres://me:hunter2@db/x\n  maxConections: 5\nmode: x\nport: 0\n",
  });
  const variables = env(
    { A_ORIGINS: "a,b", A_DATABASE__MAX_CONNECTIONS: "7", A_PORT: "8", A_KEY: "hunter2" },
    { prefix: "A_" },
  );
  const error = await refusal([yamlFile(folder.at("app.yaml")), variables], of);
  t.match(
    error.message,
    /database\.maxConections: is not a setting; did you mean "maxConnections"\? \(.*app\.yaml:3:3\)/,
  );
  t.match(error.message, /mode: .*\(.*app\.yaml:4:1\)/);
  folder.write("app.yaml", "database:\n  url: postgres://me:hunter2@db/x\n");
  await using manager = await new ConfigManager({
    schema: of,
    sources: [yamlFile(folder.at("app.yaml")), variables],
  }).start();
  t.match(manager.client, { port: 8, mode: "safe", database: { maxConnections: 7 }, origins: ["a", "b"] });
  t.equal(manager.client.key.reveal(), "hunter2");
  t.notMatch(
    JSON.stringify(manager.explain()),
    /hunter2/,
    "what turned out to be a secret, or a URL with a password, is masked",
  );
  const number: number = manager.client.port; // the type comes from the schema
  t.equal(number, 8);
});

t.test("a message of a schema that repeats what was given is shown without it", async (t) => {
  const repeats = v.pipe(
    v.string(),
    v.check(
      (value) => value === "",
      (issue) => `"${issue.input}" is wrong: ${issue.input}`,
    ),
  );
  const of = v.strictObject({
    name: repeats,
    key: v.pipe(
      v.number(),
      v.check(
        (value) => value === 0,
        ({ input }) => `not ${input}`,
      ),
    ),
  });
  const error = await refusal([overrides({ name: "hunter2-k9", key: 4 })], of);
  t.match(error.message, /name: this text is wrong: this text \(overrides\)/);
  t.match(error.message, /key: not 4/, "a number that is no secret may be shown");
});
