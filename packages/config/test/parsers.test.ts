import { parseEnv } from "node:util";
import { CHANNELS, type ConfigEvent } from "@steward/core";
import { rounds } from "@steward/testing";
import { chmodSync } from "node:fs";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import t from "tap";
import { secretFiles } from "../src/index.ts";
import { parseDotenv } from "../src/sources/dotenv.ts";
import { parseJson } from "../src/sources/json.ts";
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
