import { createHmac, timingSafeEqual } from "node:crypto";
import { resource, type Definition } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import { assertShape, flag, listOf, recognised, shape, text, type Shape } from "@steward/core/driver";
import { HttpError } from "../errors.ts";
import { cookiesOf } from "../inputs/read.ts";
import type { HttpRequest } from "../life/exchange.ts";
import { request } from "../route/request-inputs.ts";
import { withRefusal } from "../route/source.ts";
import { hostOf } from "./host.ts";

/** How requests of other sites are recognised. */
export interface CsrfOptions {
  /** Names of the cookies that sign somebody in. Default: those of `cookieSession`, `__Host-session` and `session`. */
  readonly cookies?: readonly string[] | undefined;
  /** Other origins whose pages may change something here, such as `https://admin.example`. Default: none. */
  readonly origins?: readonly string[] | undefined;
  /** Whether pages of other hosts of the same site may: `a.example` for `b.example`. Default `false`. */
  readonly allowSameSite?: boolean | undefined;
}

const isOrigin = (value: unknown): boolean =>
  typeof value === "string" && URL.canParse(value) && new URL(value).origin === value;

const csrfShape: Shape<CsrfOptions> = shape<CsrfOptions>(() => ({
  cookies: listOf(text()),
  origins: listOf(recognised(isOrigin, "an origin, such as https://admin.example")),
  allowSameSite: flag(),
}));

const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
const COOKIES = ["__Host-session", "session"];

/**
 * A need that refuses what a page of another site makes a browser send: 403, before the body is read. What does not
 * change anything (GET, HEAD, OPTIONS) is let through, and so is a bearer without a cookie, which no page can send unasked.
 * Browsers say where a request comes from (`sec-fetch-site`, else `origin`); for those that do not, one with a session has
 * to carry its `csrfToken` in the header `x-csrf-token`.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { csrf } from "@steward/server";
 * const safe = csrf({ origins: ["https://admin.example"] });
 * console.log(safe.lifetime); // => request
 * ```
 */
export function csrf(options: CsrfOptions = {}): Definition<undefined, "request", "request:request"> {
  assertShape("csrf", csrfShape, options);
  const definition = resource("csrf", {
    lifetime: "request",
    needs: { request },
    start: ({ request }): undefined => {
      if (isForgery(request, options))
        throw new HttpError(403, "the request came from another site", { code: "CSRF_REJECTED" });
    },
  });
  withRefusal(definition as AnyDefinition, { status: 403, description: "The request came from another site" });
  return definition;
}

/** What a page of ours shows where browsers do not say whose page it is: nothing that another site can know. */
export function csrfTokenOf(cookie: string): string {
  return createHmac("sha256", cookie).update("steward csrf token").digest("base64url");
}

/** Whether a request may have been made by a page of another site. */
export function isForgery(
  incoming: HttpRequest,
  { cookies = COOKIES, origins = [], allowSameSite = false }: CsrfOptions,
): boolean {
  const { headers } = incoming;
  if (SAFE.has(methodOf(incoming))) return false;
  if (headers.cookie === undefined && /^bearer\s/i.test(headers.authorization ?? "")) return false;
  const { origin, "sec-fetch-site": site } = headers;
  if (origin !== undefined && origins.includes(origin)) return false;
  if (site !== undefined) return site !== "same-origin" && site !== "none" && !(allowSameSite && site === "same-site");
  if (origin !== undefined) return !URL.canParse(origin) || new URL(origin).host !== hostOf(incoming);
  const given = cookiesOf(incoming);
  const shown = cookies.flatMap((name) => given[name] ?? []);
  return shown.length > 0 && !shown.some((value) => isToken(headers["x-csrf-token"], value));
}

function isToken(given: unknown, cookie: string): boolean {
  const [one, two] = [Buffer.from(typeof given === "string" ? given : ""), Buffer.from(csrfTokenOf(cookie))];
  return one.length === two.length && timingSafeEqual(one, two);
}

/** Frameworks have it on the request, or Node's own has. What cannot be known is taken as a change. */
function methodOf(incoming: HttpRequest): string {
  const holder = "method" in incoming ? incoming : (incoming.raw ?? {});
  return "method" in holder && typeof holder.method === "string" ? holder.method : "POST";
}
