import { createHash } from "node:crypto";
import type { CachedResponse } from "@steward/core";
import type { SentAnswer } from "../life/kept.ts";

/** What decides whether an answer may be kept, and what of it. */
export interface Keeping {
  readonly maxBodyBytes: number;
  /** Names in lower case: all headers of requests that are part of the key. */
  readonly vary: readonly string[];
  /** Names in lower case: headers of the answer that are kept besides those of its body. */
  readonly headers: readonly string[];
  /** True where only who asked may have it: other caches on the way must not keep it. */
  readonly isPrivate: boolean;
}

/** Headers that describe the body or where it is. All others belong to one request, or to one client. */
const OF_BODY = ["content-type", "content-language", "content-disposition", "content-location", "last-modified"];
const STATUSES: ReadonlySet<number> = new Set([200, 203]);

/** The value of a header, in whatever case; lists in one line. */
function header({ headers }: SentAnswer, name: string): string | undefined {
  for (const [key, value] of Object.entries(headers))
    if (key.toLowerCase() === name && value !== undefined) return [value].flat().join(", ");
  return undefined;
}

function words(text: string | undefined): string[] {
  return (text ?? "")
    .toLowerCase()
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

/** Why an answer may not be kept, for the header `cache-status`; `undefined` where it may. */
export function obstacle(
  sent: SentAnswer,
  { maxBodyBytes, vary }: Keeping,
  body: Buffer | undefined,
): string | undefined {
  if (!STATUSES.has(sent.status)) return "status";
  if (header(sent, "set-cookie") !== undefined) return "set-cookie";
  if (/\b(?:no-store|private)\b/i.test(header(sent, "cache-control") ?? "")) return "cache-control";
  if (header(sent, "content-encoding") !== undefined) return "content-encoding";
  if (words(header(sent, "vary")).some((name) => !vary.includes(name))) return "vary";
  if (body === undefined) return "stream";
  return body.byteLength > maxBodyBytes ? "too-long" : undefined;
}

/** An answer as it is kept. */
export function storedOf(sent: SentAnswer, { vary, headers, isPrivate }: Keeping, body: Buffer): CachedResponse {
  const isText = typeof sent.body === "string" || body.byteLength === 0;
  const etag = header(sent, "etag") ?? `"${createHash("sha256").update(body).digest("base64url")}"`;
  const names = [...new Set([...words(header(sent, "vary")), ...vary])];
  const kept = [...OF_BODY, ...headers].flatMap((name) => {
    const value = header(sent, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  kept.push(["etag", etag]);
  kept.push(["cache-control", header(sent, "cache-control") ?? (isPrivate ? "private, no-cache" : "no-cache")]);
  if (names.length > 0) kept.push(["vary", names.join(", ")]);
  return {
    status: sent.status,
    headers: kept,
    body: body.toString(isText ? "utf8" : "base64"),
    encoding: isText ? "utf8" : "base64",
    etag,
    madeAt: Date.now(),
  };
}

/** A stored answer for one who asks now: 304 where that is what the client has already. */
export function answerOf(stored: CachedResponse, method: string, ifNoneMatch: string | undefined): Response {
  const headers = new Headers(stored.headers.map(([name, value]): [string, string] => [name, value]));
  headers.set("age", String(Math.max(0, Math.floor((Date.now() - stored.madeAt) / 1_000))));
  headers.set("cache-status", "steward; hit");
  if (matches(ifNoneMatch, stored.etag)) {
    headers.delete("content-type");
    return new Response(null, { status: 304, headers });
  }
  const body = Buffer.from(stored.body, stored.encoding);
  headers.set("content-length", String(body.byteLength));
  return new Response(method === "HEAD" || body.byteLength === 0 ? null : body, { status: stored.status, headers });
}

/** By weak comparison, as RFC 9110 says for `if-none-match`. */
function matches(given: string | undefined, etag: string): boolean {
  if (given === undefined) return false;
  if (given.trim() === "*") return true;
  const bare = etag.replace(/^W\//, "");
  const all: readonly string[] = given.match(/"[^"]*"/g) ?? [];
  return all.includes(bare);
}
