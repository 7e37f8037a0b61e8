/** Where a mistyped name stands. */
export type Format = "variable" | "YAML" | "JSON" | "secret file";

/** One mistyped name in settings that are right otherwise. */
export interface Typo {
  readonly format: Format;
  /** The path of the setting that is meant. */
  readonly meant: string;
  /** What stands there: the name of a variable, or a path. */
  readonly written: string;
}

/** The settings that every contender declares: names, with the value that a right source gives. */
export const SETTINGS: Readonly<Record<string, string | number | boolean>> = {
  port: 8080,
  logLevel: "info",
  cacheEnabled: true,
  "database.url": "postgres://db/clips",
  "database.maxConnections": 20,
  "database.acquireTimeoutMs": 5_000,
  "redis.url": "redis://cache",
  "redis.keyPrefix": "clips:",
  "mail.password": "k3nd7-2hf9q",
};

/** Those that have to be set; the others have defaults. */
export const REQUIRED: readonly string[] = ["database.url", "mail.password"];

/** `database.maxConnections` is `APP_DATABASE__MAX_CONNECTIONS`. */
export function variableOf(path: string): string {
  return `APP_${path
    .split(".")
    .map((key) => key.replaceAll(/([a-z])([A-Z])/g, "$1_$2").toUpperCase())
    .join("__")}`;
}

const of = (format: Format, names: readonly (readonly [string, string])[]): Typo[] =>
  names.map(([meant, written]) => ({ format, meant, written }));

/** 30 of the kinds that people make: a letter too much, too few or swapped, a level or a word wrong, the wrong case. */
export const TYPOS: readonly Typo[] = [
  ...of("variable", [
    ["port", "APP_PROT"],
    ["logLevel", "APP_LOG_LEVL"],
    ["logLevel", "APP_LOGLEVEL"],
    ["cacheEnabled", "APP_CACHE_ENABLE"],
    ["database.url", "APP_DATABASE_URL"],
    ["database.maxConnections", "APP_DATABASE__MAX_CONECTIONS"],
    ["database.maxConnections", "APP_DATABASE__MAXCONNECTIONS"],
    ["database.acquireTimeoutMs", "APP_DATABASE__ACQUIRE_TIMEOUT"],
    ["redis.keyPrefix", "APP_REDIS__KEY_PERFIX"],
    ["mail.password", "APP_MAIL__PASWORD"],
  ]),
  ...of("YAML", [
    ["port", "prot"],
    ["logLevel", "loglevel"],
    ["cacheEnabled", "cacheEnabeld"],
    ["database.url", "database.ulr"],
    ["database.maxConnections", "database.maxConections"],
    ["database.acquireTimeoutMs", "database.acquireTimeout"],
    ["redis.keyPrefix", "rediss.keyPrefix"],
    ["redis.url", "redis.uri"],
  ]),
  ...of("JSON", [
    ["port", "Port"],
    ["logLevel", "logLevell"],
    ["database.maxConnections", "maxConnections"],
    ["database.acquireTimeoutMs", "database.aquireTimeoutMs"],
    ["redis.keyPrefix", "redis.keyPrefx"],
    ["mail.password", "mail.passwd"],
  ]),
  ...of("secret file", [
    ["database.url", "database.ulr"],
    ["database.url", "databse.url"],
    ["redis.url", "redis.urll"],
    ["redis.url", "redis_url"],
    ["mail.password", "mail.pasword"],
    ["mail.password", "mail.Password"],
  ]),
];
