import { createHash, randomBytes } from "node:crypto";

/** Makes and checks the tags of refresh tokens: `crypto.mac("refresh")` of `@steward/crypto` is one. */
export interface TokenMac {
  /** The tag of a message. */
  sign(message: string): Promise<Uint8Array>;
  /** Whether a tag is of that message; rejects where that cannot be found out. */
  isValid(message: string, tag: Uint8Array): Promise<boolean>;
}

const TOKEN = /^rt_([A-Za-z0-9_-]{22})\.(0|[1-9]\d{0,11})\.([A-Za-z0-9_-]{22,200})$/;

/** What a refresh token says. */
export interface RefreshToken {
  readonly family: string;
  /** How many uses of the family came before it. */
  readonly counter: number;
  readonly tag: Uint8Array;
}

/** A new id of a family: 128 random bits. */
export function newFamilyId(): string {
  return randomBytes(16).toString("base64url");
}

/** Reads a refresh token, whose tag is not checked yet; `undefined` for anything else. A token has one spelling. */
export function readRefreshToken(text: unknown): RefreshToken | undefined {
  const found = typeof text === "string" && text.length <= 300 ? TOKEN.exec(text) : null;
  if (found === null) return undefined;
  const [, family = "", counter = "", tag = ""] = found;
  const bytes = Buffer.from(tag, "base64url");
  return bytes.toString("base64url") === tag ? { family, counter: Number(counter), tag: bytes } : undefined;
}

/** Writes the token of that number of a family. The same key gives the same token. */
export async function writeRefreshToken(
  mac: TokenMac,
  issuer: string,
  family: string,
  counter: number,
): Promise<string> {
  const tag = await mac.sign(messageOf(issuer, family, counter));
  return `rt_${family}.${counter}.${Buffer.from(tag).toString("base64url")}`;
}

/** Whether we have written it. */
export function isAuthentic(mac: TokenMac, issuer: string, token: RefreshToken): Promise<boolean> {
  return mac.isValid(messageOf(issuer, token.family, token.counter), token.tag);
}

/** Ids and numbers have no line in them, so two messages are never the same text. */
function messageOf(issuer: string, family: string, counter: number): string {
  return `steward refresh token\n${family}\n${counter}\n${issuer}`;
}

/** What a user agent is compared by. */
export function agentOf(userAgent: string | undefined): string {
  return createHash("sha256")
    .update(userAgent ?? "")
    .digest("base64url");
}
