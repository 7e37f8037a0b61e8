import { parsePostgresUrl, UrlProblem, type PostgresUrl } from "@steward/core/driver";

/** Parameters of a URL that are understood. */
const UNDERSTOOD = ["target_session_attrs"];
/** Those of `target_session_attrs` that ask for a server that takes writes, and the one that asks for nothing. */
export const SESSIONS: Readonly<Record<string, "read-write" | "any">> = {
  "read-write": "read-write",
  primary: "read-write",
  any: "any",
};

/**
 * Reads `postgres://user:password@host:port,host:port/database?sslmode=require&target_session_attrs=read-write`.
 * @throws {UrlProblem} in words without the URL.
 */
export function parseUrl(text: string): PostgresUrl {
  const url = parsePostgresUrl(text);
  const unknown = Object.keys(url.parameters).find((name) => !UNDERSTOOD.includes(name));
  if (unknown !== undefined)
    throw new UrlProblem("has a parameter other than sslmode and target_session_attrs; say it as an option");
  const asked = url.parameters["target_session_attrs"];
  if (asked !== undefined && !Object.hasOwn(SESSIONS, asked))
    throw new UrlProblem(`has a target_session_attrs that is none of ${Object.keys(SESSIONS).join(", ")}`);
  return url;
}
