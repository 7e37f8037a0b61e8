import { parseEnv } from "node:util";
import { CHANNELS, type ConfigEvent } from "@steward/core";
import { failure, rounds } from "@steward/testing";
import { chmodSync } from "node:fs";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import t from "tap";
import * as v from "valibot";
import { ConfigManager, env, jsonFile, overrides, secretFiles, source, yamlFile, type Source } from "../src/index.ts";
import { parseDotenv } from "../src/sources/dotenv.ts";
import { parseJson } from "../src/sources/json.ts";
import { parseYaml } from "../src/sources/yaml.ts";
import type { Node } from "../src/sources/node.ts";
import { SyntaxFault } from "../src/sources/syntax.ts";
import { clips, DATABASE_URL } from "./clips.ts";
import { Folder } from "./folder.ts";

/** Numbers from 0 to 1 that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
}

function plain(node: Node): unknown {
  if (node.kind === "value") return node.value;
  if (node.kind === "list") return node.items.map(plain);
  return Object.fromEntries([...node.entries].map(([key, inner]) => [key, plain(inner)]));
}

function outcome(read: () => unknown): string {
  try {
    return JSON.stringify(read());
  } catch (error) {
    return error instanceof SyntaxFault || error instanceof SyntaxError ? "refused" : String(error);
  }
}

t.test("JSON is read as JSON.parse reads it, whatever is done to it", (t) => {
  const next = random(7);
  const seeds = [
    '{"a":1,"b":[true,null,-1.5e3,"x\\n\\u00e4"],"c":{"d":{}}}',
    '[[],[{"a":"b"}], 0.25, "\\"" ]',
    '  {"k" : "v" } ',
  ];
  const letters = '{}[],:"\\ \n01-.eEtruefalsn/xu';
  let read = 0;
  for (let i = 0; i < rounds(5_000); i++) {
    const seed = seeds[i % seeds.length] ?? "";
    const at = Math.floor(next() * seed.length);
    const letter = letters[Math.floor(next() * letters.length)] ?? "";
    const text = seed.slice(0, at) + (next() < 0.5 ? letter : "") + seed.slice(at + (next() < 0.5 ? 1 : 0));
    const ours = outcome(() => plain(parseJson(text, "file")));
    const theirs = outcome(() => JSON.parse(text));
    if (ours !== "refused") read++;
    // What JSON.parse takes and we refuse is only what is doubtful: a name twice, numbers that lose digits.
    if (ours !== theirs && !(ours === "refused" && isDoubtful(text))) t.equal(ours, theirs, JSON.stringify(text));
  }
  t.ok(read > 0, `${read} were right`);
  t.end();
});

function isDoubtful(text: string): boolean {
  const names = [...text.matchAll(/"(\w*)"\s*:/g)].map(([, name]) => name);
  return new Set(names).size < names.length || /\d[eE]|\d{16}/.test(text);
}

// Versions of Node differ in lines that set nothing and have a space or `export` in them, so there are none here.
t.test("a .env file is read as Node reads it", (t) => {
  const next = random(11);
  const values = [
    "a",
    "a b ",
    "'a # b'",
    '"a\\nb"',
    '"two\nlines"',
    "x # y",
    "# y",
    "",
    "`a'b`",
    "a=b",
    "  pad",
    'a"b',
  ];
  for (let i = 0; i < rounds(1_000); i++) {
    const lines = Array.from({ length: 4 }, (_, line) => {
      const value = values[Math.floor(next() * values.length)] ?? "";
      return `${next() < 0.2 && value !== "" ? "export " : ""}N${line}${next() < 0.3 && /^[^#]/.test(value) ? " = " : "="}${value}${next() < 0.2 ? "\n# comment" : ""}`;
    });
    const text = `${lines.join("\n")}\n`;
    const ours = Object.fromEntries(parseDotenv(text, "file").map(({ name, text }) => [name, text]));
    t.same(ours, { ...parseEnv(text) }, JSON.stringify(text));
    const windows = parseDotenv(text.replaceAll("\n", "\r\n"), "file");
    t.same(Object.fromEntries(windows.map(({ name, text }) => [name, text.replaceAll("\r", "")])), ours);
  }
  t.end();
});

t.test(
  "a secret that everybody on the machine may read is announced, by its name",
  { skip: process.platform === "win32" },
  async (t) => {
    const events: ConfigEvent[] = [];
    const listen = (event: unknown): void => void events.push(event as ConfigEvent); // of this channel
    subscribe(CHANNELS.config, listen);
    t.teardown(() => unsubscribe(CHANNELS.config, listen));
    using folder = new Folder();
    chmodSync(folder.write("database.url", DATABASE_URL), 0o644);
    chmodSync(folder.write("logLevel", "warn"), 0o600);
    await using manager = await clips([secretFiles(folder.path)]).start();
    t.equal(manager.client.logLevel, "warn");
    t.match(events, [
      {
        kind: "warning",
        generation: 1,
        message: `${folder.path}: everybody on this machine may read database.url; chmod o-r closes them`,
      },
    ]);
  },
);

const open = v.strictObject({ list: v.optional(v.array(v.string()), []), open: v.optional(v.looseObject({}), {}) });

async function refusal(of: Source): Promise<Error> {
  return failure(new ConfigManager({ schema: open, sources: [of] }).start());
}

t.test("a file of a megabyte takes as long as its size says, with places", async (t) => {
  using folder = new Folder();
  const items = Array.from({ length: 60_000 }, () => '"abcdefghij"');
  const before = process.cpuUsage();
  for (const between of [",", ",\n"]) {
    const file = folder.write("large.json", `{"list":[${items.join(between)}]}`);
    const manager = await new ConfigManager({ schema: open, sources: [jsonFile(file)] }).start();
    t.equal(manager.client.list.length, items.length);
    await manager.stop();
  }
  const last = parseJson('{\n  "a": 1,\n\n  "b":\n 22 }', "f");
  t.equal(last.kind === "map" && last.entries.get("b")?.at, "f:5:2");
  const aliases = await parseYaml(`a: &a x\nb: &b [*a]\nl:\n${"  - *b\n".repeat(2_000)}`, "f");
  t.equal(JSON.stringify(plain(aliases)).length, 12025);
  const [spaces] = parseDotenv(`A=a${" ".repeat(2 ** 20)}b # c`, "f");
  t.equal(spaces?.text.length, 2 ** 20 + 2);
  const names = Array.from({ length: 60_000 }, (_, i) => `k${i}: 1\n`).join("");
  for (const text of [names, "- a\n".repeat(250_000), "%A\n".repeat(300_000), `a: ${"! ".repeat(500_000)}`])
    await t.rejects(parseYaml(text, "f"), { message: /too many values and signs/ });
  const { user, system } = process.cpuUsage(before);
  t.ok(user + system < 20_000_000, `${user + system} us`); // two minutes and more when every place began at the top
});

t.test("an alias means the last anchor of its name before it", async (t) => {
  const file = await parseYaml("a: &x 1\nb: *x\nc: &x [2, &y 3]\nd: *x\ne: &y 4\nf: *x\ng: *y\n", "f");
  t.same(plain(file), { a: 1, b: 1, c: [2, 3], d: [2, 3], e: 4, f: [2, 3], g: 4 });
  await t.rejects(parseYaml("a: *x\nb: &x 1\n", "f"), {
    message: /an alias or an anchor is wrong here|names no anchor/,
  });
});

t.test("bytes that are no text, and more of them than a file of settings has, are refused in every file", async (t) => {
  using folder = new Folder();
  const latin = folder.write("latin.yaml", Buffer.from("list:\n  - caf\xe9\n", "latin1"));
  t.match(await refusal(yamlFile(latin)), {
    code: "CONFIG_PARSE_FAILED",
    message: /latin\.yaml:2:8: is not text in UTF-8/,
  });
  const json = folder.write("latin.json", Buffer.from('{"list":["caf\xe9"]}', "latin1"));
  t.match(await refusal(jsonFile(json)), { message: /latin\.json:1:14: is not text/ });
  if (process.platform !== "win32")
    t.match(await refusal(jsonFile("/dev/zero")), { message: /\/dev\/zero: is larger than 1048576 bytes/ });

  const utf16 = folder.write("s/database.url", Buffer.from("\uFEFFpostgres://a:b@c/d", "utf16le"));
  for (const of of [secretFiles(folder.at("s")), env({ CLIPS_DATABASE__URL_FILE: utf16 }, { prefix: "CLIPS_" })]) {
    const error = await failure(clips([of]).start());
    t.match(error, {
      code: "CONFIG_SOURCE_UNREADABLE",
      message: /database\.url its file is not text in UTF-8; a key in bytes/,
    });
  }
  folder.write("s/database.url", `\uFEFF${DATABASE_URL}\r\n`);
  await using manager = await clips([secretFiles(folder.at("s"))]).start();
  t.equal(manager.client.database.url.reveal(), DATABASE_URL, "an editor's mark is no part of a secret");
  const large = folder.write("large", Buffer.alloc(2 ** 20 + 1, "a"));
  const tooLarge = await failure(clips([env({ CLIPS_DATABASE__URL_FILE: large }, { prefix: "CLIPS_" })]).start());
  t.match(tooLarge, { code: "CONFIG_SOURCE_UNREADABLE", message: /its file is larger than 1048576 bytes/ });
});

t.test("names that would change what an object is are refused in sources of one's own too", async (t) => {
  const values = JSON.parse('{"open":{"__proto__":{"admin":true}}}') as Record<string, unknown>;
  for (const of of [source("vault", { read: () => values }), overrides(values)])
    t.match(await refusal(of), {
      code: "OPTIONS_INVALID",
      message: /"__proto__" is no name for a setting \((vault|overrides)\)/,
    });
});
