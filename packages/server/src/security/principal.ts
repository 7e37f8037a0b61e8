import { resource, setActor, type Credential, type Definition, type Principal } from "@steward/core";
import { isDefinition } from "@steward/core/container";
import { assertShape, recognised } from "@steward/core/driver";
import { unauthenticated } from "../errors.ts";
import type { SchemeOptions } from "../options.ts";
import { schemeOf, withScheme } from "../route/source.ts";
import { cookieSessionRule, sessionScheme } from "./cookie-session.ts";
import { bearer } from "./schemes.ts";

/** What finds out who makes a request: the port `Authenticator`, whose principals may say more. */
export interface AuthenticatorLike<P extends Principal = Principal> {
  authenticate(credential: Credential): Promise<P>;
}

/** How {@link principal} finds out who makes a request. */
export interface PrincipalOptions<
  Auto extends boolean,
  P extends Principal,
  O extends string,
> extends SchemeOptions<Auto> {
  /** What `cookieSession` gives: a request without a bearer may be one of its session. Default: bearers alone. */
  readonly session?: Definition<{ readonly who: P | null }, "request", O> | undefined;
}

type Found<Auto extends boolean, P> = Auto extends false ? P | null : P;

/**
 * Who makes a request, by the bearer token that it carries or, with `session`, by its cookie: a need that routes put
 * behind `security(me, scopes)`. A request without either is 401, or `null` with `autoError: false`; a wrong token is 401 in
 * any case, also beside a good cookie, and what cannot be judged now is 503. Several routes share one look per request.
 * From then on the request's context names its subject as `actor`, which audit events take.
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
export function principal<
  P extends Principal,
  A extends string,
  const Auto extends boolean = true,
  O extends string = never,
>(
  auth: Definition<AuthenticatorLike<P>, "application" | "process", A>,
  options: PrincipalOptions<Auto, P, O> = {},
): Definition<Found<Auto, P>, "request", "request:request" | A | O> {
  assertShape("principal", recognised(isDefinition, "a definition, such as authentication(...)"), auth);
  const { session, ...scheme } = options;
  const { autoError = true } = scheme;
  const needs = session === undefined ? { auth, token: tokenOf(scheme) } : eitherOf(auth, session, scheme);
  const definition = resource("principal", {
    lifetime: "request",
    needs: needs as ReturnType<typeof eitherOf<P, A, O>>, // or without a session
    start: async ({ auth, token, session }) => {
      const who = session?.who ?? null;
      if (token === null && who === null && autoError) throw unauthenticated("Bearer");
      if (token === null) return who;
      const found = await auth.authenticate({ scheme: "bearer", value: token });
      setActor(found.subject);
      return found;
    },
  });
  return definition as Definition<Found<Auto, P>, "request", "request:request" | A | O>; // `autoError` says whether it may be null
}

type Token = Definition<string | null, "request", "request:request">;

function tokenOf(options: SchemeOptions): Token {
  return bearer({ bearerFormat: "JWT", ...options }) as Token; // either of the two
}

/** The needs where a request has a bearer or a session; the document names both. */
function eitherOf<P extends Principal, A extends string, O extends string>(
  auth: Definition<AuthenticatorLike<P>, "application" | "process", A>,
  session: Definition<{ readonly who: P | null }, "request", O>,
  options: SchemeOptions,
) {
  assertShape("principal session", cookieSessionRule, session);
  const token = tokenOf({ ...options, autoError: false });
  const { autoError: required = true } = options;
  const scheme = schemeOf(token);
  if (scheme !== undefined) withScheme(token, { ...scheme, required, or: sessionScheme(session, "session", required) });
  return { auth, token, session };
}
