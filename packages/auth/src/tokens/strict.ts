import type { webcrypto } from "node:crypto";
import type { TokenKey } from "@steward/core";
import type * as Jose from "jose";

/** Longest token that is looked at, in characters. */
export const MAX_TOKEN = 8_192;

/** All that a header may have: anything else would say where a key is, or how to read the rest. */
const HEADER: ReadonlySet<string> = new Set(["alg", "kid", "typ"]);

const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** Why a token is refused; for operators alone. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** Finds the key that a header names. */
export type FindKey = (kid: string | undefined) => Promise<TokenKey | undefined>;

/**
 * Three parts of base64url, each spelt in the one way that its bytes have: else a changed last character gives another
 * token that is as good, and what was revoked or remembered by its text comes back.
 */
export function assertCompact(token: unknown): asserts token is string {
  if (typeof token !== "string") throw new Refused("it is no text");
  if (token.length > MAX_TOKEN) throw new Refused(`it is longer than ${MAX_TOKEN} characters`);
  if (!COMPACT.test(token)) throw new Refused("it is no compact token");
  for (const part of token.split("."))
    if (Buffer.from(part, "base64url").toString("base64url") !== part) throw new Refused("its base64 has spare bits");
}

/** What jose asks for a key: it is found by its id, and its algorithm has to be the one that the header names. */
export function boundKey(find: FindKey): (header: Jose.JWSHeaderParameters) => Promise<webcrypto.CryptoKey> {
  return async (header) => {
    const unknown = Object.keys(header).filter((member) => !HEADER.has(member));
    if (unknown.length > 0) throw new Refused(`its header has ${unknown.join(", ")}`);
    const { kid, alg } = header;
    if (kid !== undefined && (typeof kid !== "string" || kid.length > 200)) throw new Refused("its kid is no text");
    const key = await find(kid);
    if (key === undefined) throw new Refused("its key is not known");
    if (key.algorithm !== alg) throw new Refused(`its key is for ${key.algorithm}, not for what the header says`);
    return key.key;
  };
}

/** Others write JSON as they like, but no member of an object twice: who reads the first of two sees another token. */
export function assertSingular(token: string): void {
  for (const part of token.split(".").slice(0, 2)) {
    const text = Buffer.from(part, "base64url").toString("utf8");
    const names = [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)].filter(([, colon]) => colon !== undefined);
    if (names.length !== membersIn(JSON.parse(text))) throw new Refused("a member of its JSON stands there twice");
  }
}

function membersIn(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const inner = Object.values(value).reduce((sum: number, one) => sum + membersIn(one), 0);
  return Array.isArray(value) ? inner : inner + Object.keys(value).length;
}

/** What we sign is written in one way, so a member that stands there twice is not of ours. */
export function assertCanonical(token: string): void {
  for (const part of token.split(".").slice(0, 2)) {
    const text = Buffer.from(part, "base64url").toString("utf8");
    if (JSON.stringify(JSON.parse(text)) !== text) throw new Refused("its JSON is not written as ours is");
  }
}
