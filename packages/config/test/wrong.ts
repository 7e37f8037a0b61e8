import { chmodSync, mkdirSync } from "node:fs";
import { dotenvFile, env, jsonFile, overrides, secretFiles, source, yamlFile, type Source } from "../src/index.ts";
import { DATABASE_URL, WHOLE } from "./clips.ts";
import type { Folder } from "./folder.ts";

/** One kind of wrong configuration. */
export interface Wrong {
  readonly kind: string;
  readonly sources: (folder: Folder) => readonly Source[];
  /** What its message has in it: the source with its line, what is wrong, and what would be right. */
  readonly says: RegExp;
  readonly code?: string;
}

/** Stands in the wrong value wherever there is one, and is to be shown nowhere. */
export const PLANTED = "hunter2-k9f3q7";

const variables = (more: Readonly<Record<string, string>>) => env({ ...WHOLE, ...more }, { prefix: "CLIPS_" });
const yaml = (text: string) => (folder: Folder) => [variables({}), yamlFile(folder.write("app.yaml", text))];
const json = (text: string) => (folder: Folder) => [variables({}), jsonFile(folder.write("app.json", text))];
const dotenv = (text: string) => (folder: Folder) => [
  variables({}),
  dotenvFile(folder.write(".env", text), { prefix: "CLIPS_" }),
];

/** Kinds of wrong configuration, with what is said of each. */
export const WRONG: readonly Wrong[] = [
  {
    kind: "a setting is missing",
    sources: () => [env({}, { prefix: "CLIPS_" })],
    says: /settings\.database\.url: is missing: expected a secret URL with postgres:\/\/ or postgresql:\/\/; set CLIPS_DATABASE__URL in the environment, or database\.url in a file/,
  },
  {
    kind: "a variable is mistyped",
    sources: () => [variables({ CLIPS_DATABASE__MAX_CONECTIONS: PLANTED })],
    says: /CLIPS_DATABASE__MAX_CONECTIONS.*did you mean CLIPS_DATABASE__MAX_CONNECTIONS\?.*\(variable CLIPS_DATABASE__MAX_CONECTIONS\)/,
  },
  {
    kind: "the prefix is mistyped",
    sources: () => [variables({ CLIP_LOG_LEVEL: PLANTED })],
    says: /CLIP_LOG_LEVEL is no variable.*did you mean CLIPS_LOG_LEVEL\?/,
  },
  {
    kind: "a level is separated by one _",
    sources: () => [variables({ CLIPS_DATABASE_MAX_CONNECTIONS: PLANTED })],
    says: /did you mean CLIPS_DATABASE__MAX_CONNECTIONS\?/,
  },
  {
    kind: "a name in YAML is mistyped",
    sources: yaml(`database:\n  maxConections: ${PLANTED}\n`),
    says: /database\.maxConections: is not a setting; did you mean "maxConnections"\? \(.*app\.yaml:2:3\)/,
  },
  {
    kind: "a name in YAML stands at the wrong level",
    sources: yaml("maxConnections: 5\n"),
    says: /maxConnections: is not a setting; did you mean "database\.maxConnections"\? \(.*app\.yaml:1:1\)/,
  },
  {
    kind: "a name in JSON is mistyped",
    sources: json(`{\n  "debugg": "${PLANTED}"\n}`),
    says: /debugg: is not a setting; did you mean "debug"\? \(.*app\.json:2:13\)/,
  },
  {
    kind: "a name in a .env file is mistyped",
    sources: dotenv(`CLIPS_HOST=a\nCLIPS_HOTS=${PLANTED}\n`),
    says: /CLIPS_HOTS is no variable.*did you mean CLIPS_HOST\? \(.*\.env:2:1\)/,
  },
  {
    kind: "a secret file is mistyped",
    sources: (folder) => [variables({}), secretFiles((folder.write("s/database.ulr", PLANTED), folder.at("s")))],
    says: /"database\.ulr" is called as no setting; did you mean "database\.url"\? \(.*database\.ulr\)/,
  },
  {
    kind: "a number has a unit",
    sources: () => [variables({ CLIPS_DATABASE__MAX_CONNECTIONS: "12abc" })],
    says: /maxConnections: expected a number, received other text; digits alone, without a unit or spaces \(variable CLIPS_DATABASE__MAX_CONNECTIONS\)/,
  },
  {
    kind: "a number is out of range",
    sources: () => [variables({ PORT: "70000" })],
    says: /port: must be at most 65535 \(variable PORT\)/,
  },
  {
    kind: "a number is not whole",
    sources: yaml("port: 80.5\n"),
    says: /port: must be a whole number \(.*app\.yaml:1:1\)/,
  },
  {
    kind: "a number is text in YAML",
    sources: yaml(`port: "${PLANTED}"\n`),
    says: /port: expected number, received a string \(.*app\.yaml:1:1\)/,
  },
  {
    kind: "a number is too large",
    sources: json('{ "port": 9007199254740993 }'),
    says: /app\.json:1:11: .*too large to be kept exactly; write it in quotes/,
    code: "CONFIG_PARSE_FAILED",
  },
  {
    kind: "a switch is no word for one",
    sources: () => [variables({ CLIPS_DEBUG: "ture" })],
    says: /debug: expected true or false.*did you mean "true"\? \(variable CLIPS_DEBUG\)/,
  },
  {
    kind: "a word is none of those",
    sources: () => [variables({ CLIPS_LOG_LEVEL: "inof" })],
    says: /logLevel: expected "debug" \| "info".*did you mean "info"\?/,
  },
  {
    kind: "a duration has an unknown unit",
    sources: () => [variables({ CLIPS_DATABASE__ACQUIRE_TIMEOUT: "5 minutes" })],
    says: /acquireTimeout: must be a duration such as 30s/,
  },
  {
    kind: "a size has an unknown unit",
    sources: yaml("upload:\n  maxSize: 5 megs\n"),
    says: /maxSize: must be a size such as 64KiB.*\(.*app\.yaml:2:3\)/,
  },
  {
    kind: "a URL has the wrong scheme",
    sources: () => [variables({ CLIPS_WEBHOOK: `http://${PLANTED}` })],
    says: /webhook: must be a URL with https:\/\/ \(variable CLIPS_WEBHOOK\)/,
  },
  {
    kind: "a URL has a password and is no secret",
    sources: () => [variables({ CLIPS_WEBHOOK: `https://me:${PLANTED}@host` })],
    says: /webhook: must have no password in it; declare it as secret/,
  },
  {
    kind: "a secret URL has the wrong scheme",
    sources: () => [env({ CLIPS_DATABASE__URL: `mysql://me:${PLANTED}@db` }, { prefix: "CLIPS_" })],
    says: /database\.url: must be a URL with postgres:\/\/ or postgresql:\/\/ \(variable CLIPS_DATABASE__URL\)/,
  },
  {
    kind: "a secret is a placeholder",
    sources: () => [env({ CLIPS_DATABASE__URL: "postgres://clips:change-me@db" }, { prefix: "CLIPS_" })],
    says: /database\.url: has a placeholder as its password/,
  },
  {
    kind: "a secret is too short",
    sources: () => [variables({ CLIPS_SIGNING_KEY: PLANTED })],
    says: /signingKey: must have at least 32 bytes; openssl rand/,
  },
  {
    kind: "a secret repeats itself",
    sources: () => [variables({ CLIPS_SIGNING_KEY: "abcabcabcabcabcabcabcabcabcabcabcabc" })],
    says: /signingKey: repeats itself/,
  },
  {
    kind: "the file of a secret is missing",
    sources: () => [env({ CLIPS_DATABASE__URL_FILE: PLANTED }, { prefix: "CLIPS_" })],
    says: /database\.url.*its file cannot be read \(ENOENT\)/,
    code: "CONFIG_SOURCE_UNREADABLE",
  },
  {
    kind: "a file is missing",
    sources: (folder) => [variables({}), yamlFile(folder.at("none.yaml"))],
    says: /none\.yaml: cannot be read \(ENOENT\): it does not exist; is the path right/,
    code: "CONFIG_SOURCE_UNREADABLE",
  },
  {
    kind: "a file may not be read",
    sources: (folder) => (mkdirSync(folder.at("a.yaml")), [variables({}), yamlFile(folder.at("a.yaml"))]),
    says: /a\.yaml: cannot be read \(EISDIR\): it is a folder/,
    code: "CONFIG_SOURCE_UNREADABLE",
  },
  {
    kind: "the profile has no file",
    sources: (folder) => (
      folder.write("app.production.yaml", ""),
      [variables({}), yamlFile(folder.write("app.yaml", ""), { profile: "producton" })]
    ),
    says: /the profile "producton" has no file; did you mean "production"\?/,
    code: "CONFIG_SOURCE_UNREADABLE",
  },
  {
    kind: "YAML is wrongly indented",
    sources: yaml(`database:\n  maxConnections: 5\n url: ${PLANTED}\n`),
    says: /app\.yaml:3:\d+: /,
    code: "CONFIG_PARSE_FAILED",
  },
  {
    kind: "a name is there twice in YAML",
    sources: yaml(`port: 1\nport: ${PLANTED}\n`),
    says: /app\.yaml:2:1: this name is there twice/,
    code: "CONFIG_PARSE_FAILED",
  },
  {
    kind: "YAML has a tag",
    sources: yaml(`port: !!js/function ${PLANTED}\n`),
    says: /app\.yaml:1:7: a tag \(!\) is not allowed/,
    code: "CONFIG_PARSE_FAILED",
  },
  {
    kind: "YAML repeats without end",
    sources: yaml(bomb()),
    says: /app\.yaml:\d+:\d+: there are more than 10000 values, aliases included/,
    code: "CONFIG_PARSE_FAILED",
  },
  {
    kind: "YAML is nested without end",
    sources: yaml(`port: ${"[".repeat(20_000)}`),
    says: /app\.yaml:1:1: .*nested more than 64 deep/,
    code: "CONFIG_PARSE_FAILED",
  },
  {
    kind: "a name would change what an object is",
    sources: json('{ "__proto__": { "debug": true } }'),
    says: /app\.json:1:3: "__proto__" is no name for a setting/,
    code: "CONFIG_PARSE_FAILED",
  },
  {
    kind: "JSON has a comma too much",
    sources: json(`{ "host": "${PLANTED}",\n}`),
    says: /app\.json:2:1: a name in double quotes is missing, or a "," is too much/,
    code: "CONFIG_PARSE_FAILED",
  },
  {
    kind: "JSON has no quotes",
    sources: json(`{ "host": ${PLANTED} }`),
    says: /app\.json:1:11: a value is missing here, or is none of JSON: is it without quotes/,
    code: "CONFIG_PARSE_FAILED",
  },
  {
    kind: "a line of .env sets nothing",
    sources: dotenv(`CLIPS_HOST=a\nCLIPS_LOG_LEVEL ${PLANTED}\n`),
    says: /\.env:2:1: this line sets nothing: NAME=value is expected/,
    code: "CONFIG_PARSE_FAILED",
  },
  {
    kind: "a quote in .env does not end",
    sources: dotenv(`CLIPS_HOST="${PLANTED}\n`),
    says: /\.env:1:1: a quote does not end/,
    code: "CONFIG_PARSE_FAILED",
  },
  {
    kind: "a name is there twice in .env",
    sources: dotenv(`CLIPS_HOST=a\nCLIPS_HOST=${PLANTED}\n`),
    says: /\.env:2:1: this name is there twice/,
    code: "CONFIG_PARSE_FAILED",
  },
  {
    kind: "a list is a single value in YAML",
    sources: yaml(`upload:\n  types: ${PLANTED}\n`),
    says: /upload\.types: expected an array, received a string \(.*app\.yaml:2:3\)/,
  },
  {
    kind: "a section is a single value",
    sources: yaml(`upload: ${PLANTED}\n`),
    says: /upload: expected an object, received a single value \(.*app\.yaml:1:1\)/,
  },
  {
    kind: "a variable is no JSON where it has to be",
    sources: () => [variables({ CLIPS_TENANTS: `{"acme": ${PLANTED}}` })],
    says: /tenants: must be JSON: .*\(variable CLIPS_TENANTS\)/,
  },
  {
    kind: "one of several in a variable is wrong",
    sources: () => [variables({ CLIPS_TENANTS: `{"acme": {"quota": 0}}` })],
    says: /tenants\.acme\.quota: must be at least 1 \(variable CLIPS_TENANTS\)/,
  },
  {
    kind: "a name inside of a record is mistyped",
    sources: yaml("tenants:\n  acme:\n    qouta: 5\n"),
    says: /tenants\.acme\.qouta: is not a setting; did you mean "quota"\? \(.*app\.yaml:3:5\)/,
  },
  {
    kind: "null where there has to be a value",
    sources: yaml("host:\n"),
    says: /host: must be text.*\(.*app\.yaml:1:1\)/,
  },
  {
    kind: "an override is of the wrong type",
    sources: () => [variables({}), overrides({ debug: PLANTED })],
    says: /debug: expected boolean, received a string \(overrides\)/,
  },
  {
    kind: "a source of one's own fails",
    sources: () => [
      variables({}),
      source("vault", {
        read: () => {
          throw new Error("no route to vault");
        },
      }),
    ],
    says: /vault: cannot be read: no route to vault/,
    code: "CONFIG_SOURCE_UNREADABLE",
  },
];

function bomb(): string {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let i = 1; i < 9; i++) lines.push(`a${i}: &a${i} [${new Array(10).fill(`*a${i - 1}`).join(", ")}]`);
  return `${lines.join("\n")}\n`;
}

/** Makes a file that only its owner may read. */
export function closed(file: string): string {
  chmodSync(file, 0o600);
  return file;
}

export { DATABASE_URL };
