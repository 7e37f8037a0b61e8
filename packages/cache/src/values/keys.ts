import { cacheError } from "../errors.ts";

/** A part of a key. */
export type CacheKeyPart = string | number | bigint | boolean;

/** What a value is kept under: text, or a list such as `["video", 7]`. The parts never run into one another. */
export type CacheKey = string | readonly CacheKeyPart[];

/** Longest key and longest tag, in UTF-16 units. */
const LONGEST = 4_096;
/** "[", "\\" and "]" say at the begin of a text what it is; a text of the user that begins so gets a "\\" before it. */
const FIRST_MARK = 0x5b;
const LAST_MARK = 0x5d;
const SEPARATORS = /[\\\]]/g;

/**
 * A key as text. Different keys give different texts: `"1"`, `["1"]`, `[1]` and `[1n]` are four. Most texts stand for
 * themselves; lists begin with "[", and their parts say their type and end with "]".
 *
 * @throws {CACHE_KEY_INVALID} when it is neither text nor a list of text, numbers, bigints and booleans.
 */
export function encodeKey(resource: string, key: CacheKey): string {
  if (typeof key === "string") {
    if (key.length === 0 || key.length > LONGEST) throw tooLong(resource, "key", key);
    return escaped(key);
  }
  if (!Array.isArray(key) || key.length === 0)
    throw invalid(resource, `a key must be text or a list of parts, not ${kindOf(key)}`);
  let text = "[";
  for (const part of key as readonly unknown[]) text += partOf(resource, part);
  if (text.length > LONGEST) throw tooLong(resource, "key", text);
  return text;
}

function escaped(text: string): string {
  const first = text.charCodeAt(0);
  return first >= FIRST_MARK && first <= LAST_MARK ? `\\${text}` : text;
}

function partOf(resource: string, part: unknown): string {
  switch (typeof part) {
    case "string":
      return `s${part.includes("]") || part.includes("\\") ? part.replaceAll(SEPARATORS, "\\$&") : part}]`;
    case "number":
      if (Number.isNaN(part)) break;
      return `n${Object.is(part, -0) ? 0 : part}]`;
    case "bigint":
      return `i${part}]`;
    case "boolean":
      return part ? "t]" : "f]";
    default:
  }
  throw invalid(resource, `a part of a key must be text, a number, a bigint or a boolean, not ${kindOf(part)}`);
}

/**
 * A tag that may be used.
 * @throws {CACHE_KEY_INVALID} when it is no text, empty or too long.
 */
export function checkTag(resource: string, tag: unknown): string {
  if (typeof tag !== "string") throw invalid(resource, `a tag must be text, not ${kindOf(tag)}`);
  if (tag.length === 0 || tag.length > LONGEST) throw tooLong(resource, "tag", tag);
  return escaped(tag);
}

/**
 * What stands before all keys and tags of a tenant.
 * @throws {CACHE_KEY_INVALID} when the name is no text, empty or too long.
 */
export function tenantPrefix(resource: string, tenant: unknown): string {
  if (typeof tenant !== "string") throw invalid(resource, `a tenant must be text, not ${kindOf(tenant)}`);
  if (tenant.length === 0 || tenant.length > LONGEST) throw tooLong(resource, "tenant", tenant);
  return `]${tenant.length}:${tenant}`;
}

/**
 * Several keys or tags, as text.
 * @throws {CACHE_KEY_INVALID} when they are no list, or one of them is none.
 */
export function encodeAll<K>(
  resource: string,
  keys: readonly K[],
  encode: (key: K) => string,
  what: "keys" | "tags" = "keys",
): string[] {
  if (!Array.isArray(keys)) throw invalid(resource, `${what} must be a list, not ${kindOf(keys)}`);
  return Array.from(keys, encode);
}

/** What something is, in a message. */
export function kindOf(value: unknown): string {
  if (value === null || Number.isNaN(value)) return String(value);
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  return typeof value;
}

function tooLong(resource: string, what: string, text: string): Error {
  if (text === "") return invalid(resource, `a ${what} must not be empty`);
  return invalid(resource, `a ${what} of ${text.length} characters is too long (${LONGEST}); take a hash of it`);
}

function invalid(resource: string, problem: string): Error {
  return cacheError("CACHE_KEY_INVALID", `${resource}: ${problem}`, { resource });
}
