import { input } from "@steward/core";
import * as v from "valibot";
import t from "tap";
import { config, count, env, envName, port, runConfigCommand, secret, type Environment } from "../src/index.ts";
import { DATABASE_URL, schema } from "./clips.ts";

const environment = input<Environment>()("environment");
const settings = config("settings", {
  schema,
  needs: { environment },
  sources: ({ environment }) => [env(environment, { prefix: "CLIPS_" })],
});

async function run(args: readonly string[], variables: Environment = { CLIPS_DATABASE__URL: DATABASE_URL }) {
  const out: string[] = [];
  const error: string[] = [];
  const options = { needs: { environment: variables }, write: (text: string) => void out.push(text) };
  const code = await runConfigCommand(settings, args, { ...options, writeError: (text) => void error.push(text) });
  return { code, out: out.join("\n"), error: error.join("\n") };
}

t.test("check says that all is right, or everything that is wrong", async (t) => {
  t.same(await run(["check"]), { code: 0, out: "settings is right: 1 values from environment", error: "" });
  const wrong = await run(["check"], { CLIPS_DEBUG: "maybe" });
  t.equal(wrong.code, 1);
  t.match(
    wrong.error,
    /OPTIONS_INVALID: 2 options are wrong:\n.*settings\.debug.*\n.*settings\.database\.url: is missing/,
  );
});

t.test("explain says where a setting comes from", async (t) => {
  const { out } = await run(["explain", "database"]);
  t.match(
    out,
    "database.url = [secret]\n  from variable CLIPS_DATABASE__URL\ndatabase.maxConnections = 20\n  from default",
  );
  t.match(await run(["explain", "databse"]), { code: 1, error: /did you mean/ });
});

t.test("example is a .env with every variable, and schema is JSON Schema", async (t) => {
  const small = config("small", {
    schema: v.strictObject({
      port: v.optional(v.pipe(port(), v.description("Where it listens"), envName("PORT")), 3000),
      key: secret(),
      workers: count(),
    }),
    sources: [env({}, { prefix: "CLIPS_" })],
  });
  const out: string[] = [];
  const options = { write: (text: string) => void out.push(text) };
  t.equal(await runConfigCommand(small, ["example"], options), 0);
  t.equal(
    out[0],
    [
      "# Where it listens; a number",
      "# PORT=3000",
      "",
      "# a secret; or CLIPS_KEY_FILE names a file that holds it; has to be set",
      "CLIPS_KEY=",
      "",
      "# a number; has to be set",
      "CLIPS_WORKERS=",
    ].join("\n"),
  );
  await runConfigCommand(small, ["schema"], options);
  t.same(JSON.parse(out[1] ?? ""), {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    properties: {
      port: { type: "number", description: "Where it listens", default: 3000 },
      key: { type: "string", writeOnly: true },
      workers: { type: "number" },
    },
    additionalProperties: false,
  });
});

t.test("a word that is no command, and sources whose needs are not given, are told", async (t) => {
  t.match(await run(["chek"]), { code: 2, error: /did you mean "check"\?\nusage: check/ });
  const vault = input<object>()("vault");
  const needy = config("needy", { schema, needs: { vault }, sources: () => [] });
  const errors: string[] = [];
  t.equal(await runConfigCommand(needy, [], { writeError: (text) => void errors.push(text) }), 1);
  t.match(errors[0], /the sources of "needy" need vault; call runConfigCommand/);
});
