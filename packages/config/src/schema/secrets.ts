import { Secret } from "@steward/core";

/** What a secret must be like. */
export interface SecretRules {
  /** Least length, in bytes of UTF-8. Default 1. From 16 on, text that repeats itself is refused too. */
  readonly minBytes?: number;
  /**
   * Schemes with their colon, where it is a URL, such as `postgres:`. One of Postgres or MongoDB may have several hosts,
   * as their drivers take them. Default: any text.
   */
  readonly protocols?: readonly string[];
}

/** From this length on a secret is to be random. */
const RANDOM_BYTES = 16;

/** What stands in examples, and has never been replaced. Compared without case, `-`, `_` and spaces. */
const PLACEHOLDERS = new Set([
  "changeme",
  "changethis",
  "replaceme",
  "default",
  "example",
  "secret",
  "yoursecret",
  "secretkey",
  "yoursecretkey",
  "supersecret",
  "mysecret",
  "mysecretkey",
  "password",
  "yourpassword",
  "passw0rd",
  "token",
  "yourtoken",
  "apikey",
  "yourapikey",
  "todo",
  "tbd",
  "fixme",
  "xxx",
  "none",
  "null",
  "undefined",
]);

/** What is wrong with a secret, without a word of it. */
export function faultOfSecret(value: unknown, { minBytes = 1, protocols }: SecretRules): string | undefined {
  if (value instanceof Secret) return undefined;
  if (typeof value !== "string") return "must be text; put it in quotes where it looks like something else";
  if (protocols !== undefined) return faultOfUrl(value, protocols);
  if (Buffer.byteLength(value) < minBytes)
    return `must have at least ${minBytes} bytes${minBytes > 1 ? `; openssl rand -base64 ${minBytes} makes one` : ""}`;
  if (isPlaceholder(value)) return "is a placeholder; put the real secret in its place";
  return minBytes >= RANDOM_BYTES && repeats(value)
    ? "repeats itself; openssl rand -base64 32 makes a random one"
    : undefined;
}

function faultOfUrl(value: string, protocols: readonly string[]): string | undefined {
  const url = parseUrl(value);
  if (url === undefined) return `must be a URL such as ${protocols[0] ?? ""}//user:password@host`;
  const { protocol, password } = url;
  if (!protocols.includes(protocol)) return `must be a URL with ${schemes(protocols)}`;
  return isPlaceholder(password) ? "has a placeholder as its password; put the real one in its place" : undefined;
}

/** Up to the hosts, the hosts, and what follows, where drivers take several: `postgres://user:password@a:5432,b:5433/db`. */
const SEVERAL_HOSTS = /^((?:postgres(?:ql)?|mongodb):\/\/(?:[^/?#]*@)?)([^/?#@]*,[^/?#@]*)(.*)$/is;

/** A URL, of several hosts the one with the first; `undefined` for what is none. */
export function parseUrl(value: string): URL | undefined {
  const [, before = "", hosts, behind = ""] = SEVERAL_HOSTS.exec(value) ?? [];
  const urls = hosts?.split(",").map((host) => before + host + behind) ?? [value];
  const [first] = urls;
  return first !== undefined && urls.every((url) => URL.canParse(url)) ? new URL(first) : undefined;
}

/** Schemes as they stand in a URL: `http:// or https://`. */
export function schemes(protocols: readonly string[]): string {
  return protocols.map((protocol) => `${protocol}//`).join(" or ");
}

function isPlaceholder(text: string): boolean {
  return PLACEHOLDERS.has(text.toLowerCase().replaceAll(/[-_ <>]/g, ""));
}

/** Few different characters for its length, or the same part again and again. */
function repeats(text: string): boolean {
  return new Set(text).size < Math.min(8, Math.ceil(text.length / 4)) || /^(.{1,16}?)\1{2,}$/s.test(text);
}
