import { createHash } from "node:crypto";
import type { Definition } from "@steward/core";
import { isDefinition } from "@steward/core/container";
import { assertShape, recognised } from "@steward/core/driver";
import { cookiesOf } from "../inputs/read.ts";
import { withEnding, type SessionEnding } from "../life/session-ending.ts";
import type { SessionKey } from "../route/session-key.ts";
import { cookieNamesOf, cookieSessionRule } from "./cookie-session.ts";

/**
 * Binds sessions to those that `cookieSession` keeps, so that they end with them: on this instance, and on the others where
 * what keeps them says so there. They end after the requests that use them.
 *
 * @param auth What keeps the sessions.
 * @param session What `cookieSession(auth)` gives.
 * @throws {OPTIONS_INVALID} when one of them is something else.
 */
export function boundSession<A extends SessionEnding, O extends string>(
  auth: Definition<A, "application" | "process", O>,
  session: Definition<unknown, "request", string>,
): SessionKey {
  assertShape("boundSession", recognised(isDefinition, "a definition, such as authentication(...)"), auth);
  assertShape("boundSession", cookieSessionRule, session);
  const names = cookieNamesOf(session);
  const key: SessionKey = (request) => {
    const cookies = cookiesOf(request);
    const value = names.map((name) => cookies[name]).find((one) => one !== undefined);
    return value === undefined ? undefined : createHash("sha256").update(value).digest("base64url");
  };
  return withEnding(key, auth);
}
