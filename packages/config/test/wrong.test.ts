import { inspect } from "node:util";
import t from "tap";
import { env, yamlFile } from "../src/index.ts";
import { DATABASE_URL, refusal } from "./clips.ts";
import { Folder } from "./folder.ts";
import { PLANTED, WRONG } from "./wrong.ts";

t.test(
  `${WRONG.length} kinds of wrong configuration: each names the source, what is wrong and the likely fix`,
  async (t) => {
    t.ok(WRONG.length >= 30);
    for (const { kind, sources, says, code = "OPTIONS_INVALID" } of WRONG) {
      using folder = new Folder();
      const error = await refusal(sources(folder));
      t.match(error.message, says, kind);
      t.equal(error.code, code, kind);
      t.notMatch(inspect(error, { depth: 9 }), new RegExp(`${PLANTED}|h4nd-m4de`), `${kind}: shows no value`);
      t.equal(error.message.split("\n").length, 2, `${kind}: one problem is one line`);
    }
  },
);

t.test("everything that is wrong, in all sources, is said at once", async (t) => {
  using folder = new Folder({ "app.yaml": `prot: 1\ndatabase:\n  url: ${DATABASE_URL}\n  maxConnections: 0\n` });
  const error = await refusal([
    yamlFile(folder.at("app.yaml")),
    env({ CLIPS_DEBUG: "maybe", CLIPS_LOG_LEVL: "info", PORT: "x" }, { prefix: "CLIPS_" }),
  ]);
  t.equal(
    error.message.replaceAll(folder.path, "."),
    [
      "5 options are wrong:",
      '  settings.prot: is not a setting; did you mean "port"? (./app.yaml:1:1)',
      "  settings: CLIPS_LOG_LEVL is no variable of these settings; did you mean CLIPS_LOG_LEVEL? (variable CLIPS_LOG_LEVL)",
      "  settings.debug: expected true or false, received other text (variable CLIPS_DEBUG)",
      "  settings.port: expected a number, received other text (variable PORT)",
      "  settings.database.maxConnections: must be at least 1 (./app.yaml:4:3)",
    ].join("\n"),
  );
});

t.test("what a file that cannot be read might hold is not called missing", async (t) => {
  using folder = new Folder({ "app.yaml": "database: [\n" });
  const error = await refusal([yamlFile(folder.at("app.yaml")), env({ CLIPS_DEBUG: "maybe" }, { prefix: "CLIPS_" })]);
  t.equal(error.code, "OPTIONS_INVALID");
  t.match(error.message, /2 options are wrong/);
  t.notMatch(error.message, /is missing/);
});
