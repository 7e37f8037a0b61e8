import { execFileSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { inspect } from "node:util";
import { Secret } from "@steward/core";
import { FakeClock, failure, until } from "@steward/testing";
import t from "tap";
import {
  ConfigManager,
  describe,
  dotenvFile,
  env,
  jsonFile,
  overrides,
  secretFiles,
  source,
  yamlFile,
} from "../src/index.ts";
import { clips, DATABASE_URL, refusal, schema, WHOLE } from "./clips.ts";
import { Folder } from "./folder.ts";

t.test("later sources win: defaults, files, profile, secret files, environment, overrides", async (t) => {
  using folder = new Folder({
    "app.yaml": `port: 1\nhost: yaml\ndatabase:\n  maxConnections: 1\n  acquireTimeout: 1s\nlogLevel: debug\n`,
    "app.production.yaml": `host: production\ndatabase:\n  maxConnections: 2\n`,
    "app.json": `{ "logLevel": "warn" }`,
    "secrets/database.url": `${DATABASE_URL}\n`,
    "secrets/database.maxConnections": "3",
  });
  await using manager = await clips([
    yamlFile(folder.at("app.yaml"), { profile: "production" }),
    jsonFile(folder.at("app.json")),
    secretFiles(folder.at("secrets")),
    env({ CLIPS_DATABASE__MAX_CONNECTIONS: "4", PORT: "5", CLIPS_HOST: "" }, { prefix: "CLIPS_" }),
    overrides({ debug: true }),
  ]).start();
  const settings = manager.client;
  t.equal(settings.port, 5, "the environment wins");
  t.equal(settings.host, "production", "the profile wins over its file, and an empty variable is unset");
  t.equal(settings.database.maxConnections, 4);
  t.equal(settings.database.acquireTimeout, 1_000, "the value of the file stays where the profile has none");
  t.equal(settings.logLevel, "warn", "the later file wins");
  t.equal(settings.debug, true);
  t.equal(settings.upload.maxSize, 10 * 1024 * 1024, "defaults are read as everything else");
  t.equal(settings.database.url.reveal(), DATABASE_URL, "the line break at the end of a secret file is no part of it");
  t.equal(settings.get("database.maxConnections"), 4);
  t.ok(Object.isFrozen(settings) && Object.isFrozen(settings.database) && Object.isFrozen(settings.upload.types));
});

t.test("text becomes what the schema expects", async (t) => {
  const read = async (variables: Readonly<Record<string, string>>) => {
    await using manager = await clips([env({ ...WHOLE, ...variables }, { prefix: "CLIPS_" })]).start();
    return manager.client;
  };
  for (const [word, value] of Object.entries({
    true: true,
    YES: true,
    "1": true,
    on: true,
    false: false,
    no: false,
    "0": false,
    Off: false,
  }))
    t.equal((await read({ CLIPS_DEBUG: word })).debug, value, word);
  t.equal((await read({ CLIPS_DATABASE__ACQUIRE_TIMEOUT: "1.5s" })).database.acquireTimeout, 1_500);
  t.equal((await read({ CLIPS_DATABASE__ACQUIRE_TIMEOUT: "250" })).database.acquireTimeout, 250);
  t.equal((await read({ CLIPS_UPLOAD__MAX_SIZE: "64KiB" })).upload.maxSize, 65_536);
  t.same((await read({ CLIPS_UPLOAD__TYPES: "a, b ,c" })).upload.types, ["a", "b", "c"]);
  t.same((await read({ CLIPS_UPLOAD__TYPES: '["a,b"]' })).upload.types, ["a,b"]);
  t.same((await read({ CLIPS_TENANTS: '{"acme":{"quota":5}}' })).tenants, { acme: { quota: 5 } });
});

t.test("a variable may name a file that holds the secret", async (t) => {
  using folder = new Folder({ url: `${DATABASE_URL}\n` });
  await using manager = await clips([
    env({ CLIPS_DATABASE__URL_FILE: folder.at("url") }, { prefix: "CLIPS_" }),
  ]).start();
  t.equal(manager.client.database.url.reveal(), DATABASE_URL);
  const both = { ...WHOLE, CLIPS_DATABASE__URL_FILE: folder.at("url") };
  t.match(
    (await refusal([env(both, { prefix: "CLIPS_" })])).message,
    /given twice: by CLIPS_DATABASE__URL and by CLIPS_DATABASE__URL_FILE/,
  );
});

t.test(
  "a pipe is read once it is written to; one that no one writes to holds no thread of the process",
  { skip: process.platform === "win32" },
  async (t) => {
    using folder = new Folder();
    const [silent, pipe] = [folder.at("silent"), folder.at("url")];
    execFileSync("mkfifo", [silent, pipe]);
    const named = (file: string) => [env({ CLIPS_DATABASE__URL_FILE: file }, { prefix: "CLIPS_" })];
    const clock = new FakeClock();
    const starts = Array.from({ length: 5 }, () =>
      failure(new ConfigManager({ schema, sources: named(silent) }, { clock }).start()),
    );
    await until(() => clock.pending === 5);
    await clock.advance(10_000);
    for (const error of await Promise.all(starts)) t.match(error, { code: "CONFIG_SOURCE_UNREADABLE" });
    const [manager] = await Promise.all([clips(named(pipe)).start(), writeFile(pipe, DATABASE_URL)]);
    t.equal(manager.client.database.url.reveal(), DATABASE_URL);
    await manager.stop();
  },
);

t.test("a .env file is read as a shell would: quotes, comments, export", async (t) => {
  using folder = new Folder({
    ".env": `# local\nexport CLIPS_HOST='a # b'\r\nCLIPS_LOG_LEVEL=warn # loud\n\nCLIPS_DATABASE__URL="${DATABASE_URL}"\nCLIPS_UPLOAD__TYPES="x\\ny"\n`,
  });
  await using manager = await clips([dotenvFile(folder.at(".env"), { prefix: "CLIPS_" })]).start();
  t.equal(manager.client.host, "a # b");
  t.equal(manager.client.logLevel, "warn");
  t.same(manager.client.upload.types, ["x\ny"]);
  t.equal(manager.explain("logLevel")[0]?.from, `${folder.at(".env")}:3:1`);
});

t.test("files of others are given names, and passed over", async (t) => {
  using folder = new Folder({ "clips-db": DATABASE_URL, other: "x" });
  symlinkSync(".", folder.at("..data"));
  const files = secretFiles(folder.path, { names: { "clips-db": "database.url" }, ignore: ["other"] });
  await using manager = await clips([files]).start();
  t.equal(manager.client.database.url.reveal(), DATABASE_URL);
});

t.test("a source of one's own may wait, gives text or values, and is aborted when it takes too long", async (t) => {
  const vault = source("vault", { read: async () => ({ database: { url: DATABASE_URL, maxConnections: "7" } }) });
  await using manager = await clips([vault]).start();
  t.equal(manager.client.database.maxConnections, 7);
  t.equal(manager.explain("database.maxConnections")[0]?.from, "vault");
  let aborted: AbortSignal | undefined;
  const hangs = source("vault", {
    read: ({ signal }) => {
      aborted = signal;
      return new Promise(() => {});
    },
  });
  const slow = clips([hangs], { readTimeoutMs: 5 });
  await t.rejects(slow.start(), {
    code: "CONFIG_SOURCE_UNREADABLE",
    message: /vault: cannot be read: no answer within 5 ms/,
  });
  t.equal(aborted?.aborted, true);
  const failing = source("vault", { read: () => Promise.reject(new Error("no route to https://me:hunter2@vault")) });
  const error = await refusal([failing]);
  t.equal(error.code, "CONFIG_SOURCE_UNREADABLE");
  t.notMatch(inspect(error), /hunter2/);
});

t.test("explain names the place, what it shadows, the variable, and whether it is live", async (t) => {
  using folder = new Folder({ "app.yaml": `host: a\ndatabase:\n  maxConnections: 5\n  url: ${DATABASE_URL}\n` });
  const sources = [
    yamlFile(folder.at("app.yaml")),
    env({ CLIPS_DATABASE__MAX_CONNECTIONS: "6" }, { prefix: "CLIPS_" }),
  ];
  await using manager = await clips(sources, { live: ["logLevel"] }).start();
  t.same(manager.explain("database.maxConnections"), [
    {
      path: "database.maxConnections",
      value: "6",
      from: "variable CLIPS_DATABASE__MAX_CONNECTIONS",
      shadows: [`${folder.at("app.yaml")}:3:3`],
      variable: "CLIPS_DATABASE__MAX_CONNECTIONS",
      live: false,
    },
  ]);
  t.match(manager.explain("port")[0], { from: "default", value: "3000", variable: "PORT" });
  t.match(manager.explain("database.url")[0], { from: `${folder.at("app.yaml")}:4:3`, value: "[secret]" });
  t.match(manager.explain("logLevel")[0], { live: true });
  t.match(manager.explain("webhook")[0], { from: "not set", value: "-" });
  t.equal(manager.explain("database").length, 3);
  t.throws(() => manager.explain("database.maxConection"), { message: /did you mean "database.maxConnections"\?/ });
  t.equal(describe(manager.client).explain("port")[0]?.value, "3000", "the value leads to who looks after it");
  t.throws(() => describe({}), { code: "DEFINITION_INVALID" });
});

t.test("a value before the start is an error with a code", (t) => {
  t.throws(() => clips([]).client, { code: "RESOURCE_UNAVAILABLE" });
  t.end();
});

t.test("secrets are Secrets, whatever shows the settings", async (t) => {
  await using manager = await clips([env(WHOLE, { prefix: "CLIPS_" })]).start();
  t.ok(manager.client.database.url instanceof Secret);
  const shown = `${inspect(manager.client, { depth: 9 })} ${JSON.stringify(manager.client)} ${inspect(manager, { depth: 9 })} ${JSON.stringify(manager.stats())}`;
  t.notMatch(shown, /h4nd-m4de/);
});
