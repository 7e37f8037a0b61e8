import { container } from "@steward/container";
import { resource, StewardError } from "@steward/core";
import { fastify } from "fastify";
import t from "tap";
import { depend, from, handler, security, steward } from "../src/index.ts";

const db = resource("db", { start: () => "db" });

/** What a caller without types may write. */
const [untyped, inputs, put] = [handler, from, depend] as never as [
  (...given: unknown[]) => unknown,
  Readonly<Record<string, (...given: unknown[]) => unknown>>,
  (...given: unknown[]) => unknown,
];

function codeOf(call: () => unknown): readonly [code: string, message: string] {
  try {
    call();
  } catch (error) {
    if (error instanceof StewardError) return [error.code, error.message];
    throw error;
  }
  return ["none", ""];
}

t.test("a handler with wrong needs, dependencies or function says so where it stands", async (t) => {
  const answer = (): string => "ok";
  for (const [given, code, words] of [
    [[], "ROUTE_INVALID", /needs of a handler.*such as \{ db \}, not undefined/],
    [[null, answer], "ROUTE_INVALID", /not null/],
    [[5, answer], "ROUTE_INVALID", /not a number/],
    [[[db], answer], "ROUTE_INVALID", /not an array/],
    [[answer], "ROUTE_INVALID", /not a function/],
    [[{ db }], "ROUTE_INVALID", /needs and a function, such as .*: the function is undefined/],
    [[{ db }, "ok"], "ROUTE_INVALID", /the function is a string/],
    [[{ db: 5 }, answer], "NEED_INVALID", /"db"/],
    [[{ db }, answer, { dependencies: 5 }], "ROUTE_INVALID", /dependencies of a handler are a list.*not a number/],
    [[{ db }, answer, { dependencies: { db } }], "ROUTE_INVALID", /not an object/],
    [[{ db }, answer, { dependencies: [5] }], "NEED_INVALID", /number/],
  ] as const) {
    const [found, message] = codeOf(() => untyped(...given));
    t.equal(found, code, String(words));
    t.match(message, words);
  }
});

t.test("dependencies of an app or a plugin that are none are refused as it is registered", async (t) => {
  for (const [dependencies, code] of [
    [5, "ROUTE_INVALID"],
    [null, "ROUTE_INVALID"],
    [[db], "ROUTE_INVALID"],
    ["db", "ROUTE_INVALID"],
    [{ x: 5 }, "NEED_INVALID"],
  ] as const) {
    const app = fastify();
    const options = { container: container([]), dependencies: dependencies as never };
    await t.rejects(async () => await app.register(steward, options), { code }, `app: ${JSON.stringify(dependencies)}`);
    t.equal(codeOf(() => put(app, dependencies))[0], code, `plugin: ${JSON.stringify(dependencies)}`);
  }
});

t.test("an input without a name, or with a schema that is none, is refused where it stands", async (t) => {
  for (const place of ["query", "header", "cookie", "path", "body", "form", "file", "files"])
    for (const name of [undefined, 5, ""]) {
      const [code, message] = codeOf(() => inputs[place]?.(name));
      t.equal(code, "OPTIONS_INVALID", `${place} ${String(name)}`);
      t.match(message, new RegExp(`the name of from\\.${place}\\b`));
    }
  for (const place of ["query", "header", "cookie", "path", "body", "form"])
    for (const schema of [null, 5, "integer"]) {
      const [code, message] = codeOf(() => inputs[place]?.("a", schema));
      t.equal(code, "OPTIONS_INVALID", `${place} ${String(schema)}`);
      t.match(message, /must be a JSON schema such as \{ type: "integer" \}/);
    }
});

t.test("security of what is no definition is refused where it stands", async (t) => {
  for (const given of [undefined, null, 5, "read"])
    t.equal(codeOf(() => security(given as never, ["read"]))[0], "NEED_INVALID", String(given));
});
