import { assertShape, text } from "@steward/core/driver";
import { serverError, unauthenticated } from "../errors.ts";
import { cookiesOf } from "../inputs/read.ts";
import type { HttpRequest } from "../life/exchange.ts";

/** Says which session a request belongs to; `undefined` for none. */
export type SessionKey<Request = HttpRequest> = (request: Request) => string | undefined;

/** Longest value of a cookie that is a key. */
const MAX_KEY = 512;

/**
 * Binds sessions to the value of a cookie, as it is: who has the value has the session, so it should be one that no one
 * can guess, and a hook should have checked its signature where clients could make up many.
 *
 * @throws {OPTIONS_INVALID} when the name is empty.
 *
 * @example
 * ```ts
 * import { sessionCookie } from "@steward/server";
 * const key = sessionCookie("sid");
 * console.log(key({ headers: { cookie: "sid=8f2c" }, query: {}, params: {} })); // => 8f2c
 * ```
 */
export function sessionCookie(name: string): SessionKey {
  assertShape("sessionCookie", text(), name);
  return (request) => {
    const value = cookiesOf(request)[name];
    return value === undefined || value.length > MAX_KEY ? undefined : value;
  };
}

/** The key of a request that needs a session. @throws HttpError 401 where it has none. */
export function sessionKeyOf(keyOf: SessionKey<never>, request: HttpRequest): string {
  const key: unknown = keyOf(request as never); // the adapter's own request, for which the function was written
  if (typeof key === "string" && key !== "") return key;
  if (key !== undefined && key !== null && key !== "")
    throw serverError("ROUTE_INVALID", `the function for sessions has to give a text or undefined, not ${typeof key}`);
  throw unauthenticated("Session");
}
