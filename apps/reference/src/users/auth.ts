import { authentication, sqlApiKeys, sqlFamilies, sqlSessions } from "@steward/auth";
import { pubSub, sqlRunner } from "@steward/database";
import { boundSession, cookieSession, perRequest, principal, security } from "@steward/fastify";
import { limiter } from "../resources/limits.ts";
import { crypto } from "../crypto/backend.ts";
import { db } from "../resources/stores.ts";
import { access, type Permission } from "./access.ts";
import { users } from "./users.ts";

/** Who signs in, with what, and for how long. All instances share its tables. */
export const auth = authentication("auth", {
  needs: { crypto, db, limiter, users },
  criticality: "optional", // as keys are: without them, what is for everybody works
  readiness: "startup",
  options: ({ crypto, db, limiter, users }) => {
    const where = { sql: sqlRunner(db), prefix: "clips_auth" };
    const mac = crypto.mac("refresh");
    return {
      issuer: "clips",
      audience: "clips",
      keys: crypto.token("access"),
      refresh: { store: sqlFamilies(where), mac },
      sessions: { store: sqlSessions(where) },
      apiKeys: { store: sqlApiKeys(where), prefix: "clips" },
      bus: pubSub(db),
      passwords: { users, hashing: crypto.passwords, limiter, mac },
    };
  },
});

/** The session of a browser, in a cookie. On this machine it works without TLS. */
export const session = cookieSession(auth, { secure: "elsewhere" });

/** Which session a request is of, as far as its cookie says. */
export const sessionKey = boundSession(auth, session);

/** Who makes a request, by bearer (a token or an API key) or cookie, with the roles of this moment. */
export const me = perRequest("me", { who: principal(auth, { session }), users }, async ({ who, users }) => {
  const user = await users.find(who.subject);
  return access.principal(who, user === undefined || user.isDisabled ? [] : user.roles);
});

/** The same, for a route that asks for a permission. */
export function permitted(permission: Permission) {
  return security(me, [permission]);
}
