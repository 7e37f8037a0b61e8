import type { Principal } from "@steward/core";
import type { JWTPayload } from "jose";
import { GrantedScopes } from "./granted.ts";

/** Who an access token was issued for. */
export interface TokenPrincipal extends Principal {
  /** `iss` of the token: ours, or that of a trusted issuer. */
  readonly issuer: string;
  /** `jti` of the token, where it has one. */
  readonly tokenId: string | undefined;
  /** When the token was issued, in ms since 1970. */
  readonly issuedAtMs: number;
  /** When it ends, in ms since 1970. */
  readonly expiresAtMs: number;
  /** When its user proved who it is, in ms since 1970: the beginning of its session. */
  readonly authenticatedAtMs?: number | undefined;
}

/** What a token has to say besides what jose compares. */
export type Claims = JWTPayload & {
  readonly scope?: unknown;
  readonly scp?: unknown;
  readonly sid?: unknown;
  readonly auth_time?: unknown;
};

const HALF_CHARACTER = /\p{Cs}/u;
const MAX_TEXT = 255;

/** Who it is for; a sentence where a claim is not what it has to be. */
export function principalOf(claims: Claims, prefix: string): TokenPrincipal | string {
  const { iss, sub, jti, exp, iat, sid, auth_time: provenAt } = claims;
  if (typeof iss !== "string") return "iss is missing";
  if (!isSubject(sub)) return "sub is no id";
  if (!isSeconds(exp) || !isSeconds(iat)) return "exp or iat is no time";
  if (iat > exp) return "it ends before it was issued";
  if (jti !== undefined && !isText(jti)) return "jti is no text";
  if (sid !== undefined && !isText(sid)) return "sid is no text";
  if (provenAt !== undefined && !isSeconds(provenAt)) return "auth_time is no time";
  const scopes = scopesIn(claims);
  if (scopes === undefined) return "scope is no list of scopes";
  return Object.freeze({
    subject: `${prefix}${sub}`,
    scopes: new GrantedScopes(scopes),
    session: sid,
    issuer: iss,
    tokenId: jti,
    issuedAtMs: iat * 1_000,
    expiresAtMs: exp * 1_000,
    authenticatedAtMs: provenAt === undefined ? undefined : provenAt * 1_000,
  });
}

/** Whether it may be the id of a user, a session or a token. Half a character is none: stores would take another for it. */
export function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_TEXT && !HALF_CHARACTER.test(value);
}

/** Whether it is no one's name or id: Postgres cannot be asked for a NUL, and would seem to be away. */
export function hasNul(text: string): boolean {
  return text.includes("\0");
}

/** Whether it may be the id of a user, or a name that a store keeps. */
export function isSubject(value: unknown): value is string {
  return isText(value) && !hasNul(value);
}

/** Whether it may be one scope: what RFC 6749 has as `scope-token`. */
export function isScope(value: unknown): value is string {
  return typeof value === "string" && /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(value);
}

function isSeconds(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 && value < 2 ** 43;
}

/** `scope` as RFC 9068 has it, or the list `scp` of some issuers. */
function scopesIn({ scope, scp }: Claims): readonly string[] | undefined {
  const given = scope ?? scp ?? "";
  const list: readonly unknown[] | undefined =
    typeof given === "string" ? given.split(" ").filter((one) => one !== "") : Array.isArray(given) ? given : undefined;
  return list?.every(isScope) === true ? list : undefined;
}
