import { resource, setActor, type Credential, type Definition, type Principal } from "@steward/core";
import { isDefinition } from "@steward/core/container";
import { assertShape, recognised } from "@steward/core/driver";
import type { SchemeOptions } from "../options.ts";
import { bearer } from "./schemes.ts";

/** What finds out who makes a request: the port `Authenticator`, whose principals may say more. */
export interface AuthenticatorLike<P extends Principal = Principal> {
  authenticate(credential: Credential): Promise<P>;
}

/**
 * Who makes a request, by the bearer token that it carries: a need that routes put behind `security(me, scopes)`.
 * A request without a token is 401, or `null` with `autoError: false`; a wrong token is 401 in any case, and a token that
 * cannot be judged now is 503. Several routes share one look per request. From then on the request's context names
 * its subject as `actor`, which audit events take.
 *
 * @param auth What verifies tokens: `authentication(...)` of `@steward/auth`, or your own behind the port `Authenticator`.
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { resource, type Authenticator } from "@steward/core";
 * import { principal } from "@steward/server";
 * const auth = resource("auth", { start: (): Authenticator => ({ authenticate: async ({ value }) => ({ subject: value, scopes: new Set(), session: undefined }) }) });
 * const me = principal(auth);
 * console.log(me.lifetime); // => request
 * ```
 */
export function principal<P extends Principal, const Auto extends boolean = true>(
  auth: Definition<AuthenticatorLike<P>, "application" | "process", never>,
  options: SchemeOptions<Auto> = {},
): Definition<Auto extends false ? P | null : P, "request", "request:request"> {
  assertShape("principal", recognised(isDefinition, "a definition, such as authentication(...)"), auth);
  const token = bearer({ bearerFormat: "JWT", ...options });
  const definition = resource("principal", {
    lifetime: "request",
    needs: { auth, token: token as Definition<string | null, "request", "request:request"> }, // either of the two
    start: async ({ auth, token }) => {
      if (token === null) return null;
      const found = await auth.authenticate({ scheme: "bearer", value: token });
      setActor(found.subject);
      return found;
    },
  });
  return definition as Definition<Auto extends false ? P | null : P, "request", "request:request">; // `autoError` says whether it may be null
}
