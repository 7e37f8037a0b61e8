import { StewardError } from "@steward/core";

/**
 * The URL of a call. No part of one that is wrong stands in the error: Node's own keeps it, with a password in it.
 *
 * @throws {HTTP_ORIGIN_MISSING} for a path where there is no `base`.
 * @throws {HTTP_URL_INVALID} for what is no URL, or one with a user or password, which would not be sent.
 */
export function targetOf(resource: string, target: string | URL, base: string | undefined): URL {
  const url = typeof target === "string" && URL.canParse(target, base) ? new URL(target, base) : target;
  if (url instanceof URL) return withoutUser(resource, url);
  if (typeof target !== "string" || base !== undefined || /^[^/]*:|@/.test(target))
    throw new StewardError("HTTP_URL_INVALID", `${resource}: the URL of the call is none`, { resource });
  const shown = target.slice(0, 100).replace(/[?#].*/s, "");
  const message = `${resource}: "${shown}" is not a whole URL, and the session has no baseUrl`;
  throw new StewardError("HTTP_ORIGIN_MISSING", message, { resource });
}

function withoutUser(resource: string, url: URL): URL {
  if (url.username === "" && url.password === "") return url;
  const message = `${resource}: the URL of the call to ${url.host} holds a user or password; give them as authorization`;
  throw new StewardError("HTTP_URL_INVALID", message, { resource });
}
