import { createHash } from "node:crypto";
import { StewardError } from "@steward/core";

/** Whose budget it is: text, or a list such as `[tenant, user]`, whose parts cannot run into each other. */
export type RateKey = string | readonly string[];

/** Longer keys are stored by their hash, in bytes. */
const MAX_KEY_BYTES = 200;
/** Text that could be taken for a list or for a hash stands as a list of one. */
const AMBIGUOUS = /^(?:\d+:|sha256-)/;

/**
 * A key as one text, at most 200 bytes long.
 * @throws {RATE_KEY_INVALID} when it is empty, or not text.
 */
export function keyText(resource: string, key: RateKey): string {
  const text = typeof key === "string" && !AMBIGUOUS.test(key) ? key : joined(typeof key === "string" ? [key] : key);
  if (text === undefined || text === "") throw invalidKey(resource, key);
  if (text.length * 3 <= MAX_KEY_BYTES || Buffer.byteLength(text) <= MAX_KEY_BYTES) return text;
  return `sha256-${createHash("sha256").update(text).digest("base64url")}`;
}

/** Each part behind its length, so that no two lists give one text. */
function joined(key: unknown): string | undefined {
  if (!Array.isArray(key) || key.length === 0) return undefined;
  let text = "";
  for (const part of key) {
    if (typeof part !== "string" || part === "") return undefined;
    text += `${part.length}:${part}`;
  }
  return text;
}

function invalidKey(resource: string, key: unknown): StewardError {
  const what = key === "" ? "empty" : Array.isArray(key) ? "a list with an empty part, or without parts" : typeof key;
  const message = `${resource}: the key of a call must be text, or a list of texts, that is not empty; this one is ${what}`;
  return new StewardError("RATE_KEY_INVALID", message, { resource });
}
