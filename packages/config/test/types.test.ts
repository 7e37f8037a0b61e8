import type { ValueOf } from "@steward/core";
import * as v from "valibot";
import t from "tap";
import {
  config,
  count,
  secret,
  section,
  text,
  yamlFile,
  type PathOf,
  type Settings,
  type TextSecret,
} from "../src/index.ts";

const schema = v.strictObject({
  port: v.optional(count(), 1),
  database: v.strictObject({ url: secret(), pool: v.strictObject({ size: count() }) }),
  mail: v.optional(v.strictObject({ host: text() })),
  tags: v.optional(v.array(v.string()), []),
});
const settings = config("settings", { schema, sources: [] });
type Value = ValueOf<typeof settings>;

/** Compiles only where both are the same. */
function same<A, B>(_same: [A] extends [B] ? ([B] extends [A] ? true : false) : false): void {}

t.test("the types come from the schema: values, paths, sections", (t) => {
  same<Value["port"], number>(true);
  same<Value["database"]["url"], TextSecret>(true);
  same<Value["tags"], readonly string[]>(true);
  same<
    PathOf<Value>,
    "port" | "database" | "database.url" | "database.pool" | "database.pool.size" | "mail" | "mail.host" | "tags"
  >(true);
  const get = (value: Value): number => value.get("database.pool.size");
  const mail = (value: Value): string | undefined => value.get("mail.host");
  const pool = section(settings, "database.pool");
  same<ValueOf<typeof pool>, { readonly size: number }>(true);
  // @ts-expect-error there is no such path
  const wrong = (value: Value): unknown => value.get("database.pol");
  // @ts-expect-error settings cannot be changed
  const changed = (value: Value): unknown => (value.port = 2);
  // @ts-expect-error nor what is inside of them
  const changedInside = (value: Value): unknown => (value.database.pool.size = 2);
  t.ok([get, mail, wrong, changed, changedInside].every((each) => typeof each === "function"));
  const plain: (value: Settings<{ a: { b: number } }>) => number = (value) => value.get("a.b");
  t.equal(typeof plain, "function");
  t.end();
});

t.test("a profile is a part of a name, and a path is text", (t) => {
  t.throws(() => yamlFile("app.yaml", { profile: "../other" }), {
    message: /profile: must be a name of letters, digits/,
  });
  t.same(yamlFile("app.yaml", { profile: "" }).files, ["app.yaml"], "an empty variable is none");
  t.throws(() => yamlFile(undefined as never), { code: "OPTIONS_INVALID" });
  t.end();
});
