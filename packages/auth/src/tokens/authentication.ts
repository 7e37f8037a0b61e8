import type { webcrypto } from "node:crypto";
import type { Authenticator, Clock, Credential, StewardError, TokenKeys } from "@steward/core";
import { assertShape, func, listOf, recognised, required, shape, wholeNumber, type Shape } from "@steward/core/driver";
import { subjectInvalid } from "../errors.ts";
import type { ApiKeyring, ApiKeyringParts, ApiKeys } from "./keys/api-keys.ts";
import { passwordsOf, type Passwords, type PasswordSignIn } from "../passwords/sign-in.ts";
import { sessionsOf, type CookieSessions, type Sessions } from "../sessions/cookies/sessions.ts";
import { PasswordReset } from "../passwords/reset.ts";
import type { EndedSessions, SessionEnds } from "../sessions/ends.ts";
import type { StoreCalls } from "../sessions/store-calls.ts";
import type { Families } from "../sessions/refresh/families.ts";
import { endAllOf, tokenPairsOf, type TokenPairs } from "../sessions/refresh/pairs.ts";
import { isScope, isSubject, isText, type TokenPrincipal } from "./access-token.ts";
import type { AccessTokens } from "./access-tokens.ts";
import type { Issuance, IssuedToken } from "./issuance.ts";

/** Issues access tokens and finds out whose they are. Its methods need no `this`. */
export interface Authentication extends Authenticator, TokenPairs {
  /**
   * A signed access token (RFC 9068): `iss`, `aud`, `sub`, `iat`, `exp`, `jti`, and `scope`, `sid` and
   * `auth_time` where they are given.
   * @throws {AUTH_SUBJECT_INVALID} when the subject is that of another issuer's user.
   * @throws {OPTIONS_INVALID} when something of it is unknown or wrong.
   */
  issue(to: Issuance): Promise<IssuedToken>;
  /**
   * Whose token it is. A second look at the same token costs no signature.
   * @throws {AUTH_TOKEN_INVALID} when it is refused, with one text for all causes; servers answer 401.
   * @throws {AUTH_KEYS_UNAVAILABLE} when the keys to judge it cannot be had; servers answer 503.
   */
  verify(token: string): Promise<TokenPrincipal>;
  /** As {@link verify}, for a `bearer`, which may be an API key too, and for the value of a session's cookie. */
  authenticate(credential: Credential): Promise<TokenPrincipal>;
  /** Keys for programs. */
  readonly apiKeys: ApiKeys;
  /** Passwords of users, for what {@link signIn} does not do. */
  readonly passwords: Passwords;
  /** Sessions of cookies. */
  readonly sessions: CookieSessions;
  /**
   * Calls a listener whenever sessions have ended, on this instance or, with the option `bus`, on another, until the returned
   * function is called: to close sockets, say. Sessions that end by time, or because their user has too many, are not said.
   */
  onEnded(listener: (ended: EndedSessions) => void): () => void;
  /** The public keys, for a route such as `/.well-known/jwks.json`. Empty where only we can verify. */
  jwks(): Promise<{ readonly keys: readonly webcrypto.JsonWebKey[] }>;
}

const issuanceShape: Shape<Issuance> = /* @__PURE__ */ shape<Issuance>(() => ({
  subject: required(recognised(isSubject, "text of 1 to 255 characters without NUL")),
  scopes: listOf(recognised(isScope, 'a scope: 1 to 200 visible ASCII characters except " and \\')),
  session: recognised(isText, "text of 1 to 255 characters"),
  authenticatedAtMs: wholeNumber(0),
}));

const listenerRule = /* @__PURE__ */ required(func());

/** What {@link authenticationOf} is made of. */
export interface AuthenticationParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly issuer: string;
  readonly calls: StoreCalls;
  readonly tokens: AccessTokens;
  readonly families: Families | undefined;
  readonly passwords: PasswordSignIn;
  readonly sessions: Sessions;
  readonly ends: SessionEnds;
  readonly keyringOf: (checks: Pick<ApiKeyringParts, "ready" | "assertOurs">) => ApiKeyring;
  readonly keys: TokenKeys;
  /** Names of the trusted issuers, with which subjects of their users begin. */
  readonly issuers: readonly string[];
  /** Why calls are refused now. */
  readonly refusal: () => StewardError | undefined;
}

/** The client of a manager. */
export function authenticationOf(parts: AuthenticationParts): Authentication {
  const { resource, clock, tokens, families, passwords, sessions, keyringOf, keys, issuers, refusal } = parts;
  const ready = (): void => {
    const refused = refusal();
    if (refused !== undefined) throw refused;
  };
  const assertOurs = (subject: string): void => assertNotForeign(resource, issuers, subject);
  const issued = (to: Issuance): Promise<IssuedToken> => issuedBy(tokens, clock.wallNow(), to);
  const keyring = keyringOf({ ready, assertOurs });
  const verified = (token: string): Promise<TokenPrincipal> => verifiedBy(tokens, families, token);
  const authentication: Authentication = {
    ...tokenPairsOf({
      resource,
      families,
      sessions,
      passwords,
      ready,
      assertOurs,
      canSign: () => tokens.probe(),
      issue: issued,
    }),
    async issue(to) {
      ready();
      assertShape(`${resource} issue`, issuanceShape, to);
      assertOurs(to.subject);
      return issued(to);
    },
    async verify(token) {
      ready();
      return verified(token);
    },
    async authenticate({ scheme, value }) {
      ready();
      if (scheme !== "bearer") return sessions.verify(value);
      return keyring.owns(value) ? keyring.verify(value) : verified(value);
    },
    apiKeys: Object.freeze({ create: keyring.create, list: keyring.list, revoke: keyring.revoke }),
    passwords: passwordsOf(passwords, resetOf(parts), ready),
    sessions: sessionsOf(sessions, ready, assertOurs),
    onEnded(listener) {
      assertShape(`${resource} onEnded`, listenerRule, listener);
      return parts.ends.listen(listener);
    },
    async jwks() {
      ready();
      return keys.jwks();
    },
  };
  return Object.freeze(authentication);
}

function resetOf({
  resource,
  issuer,
  clock,
  calls,
  passwords,
  families,
  sessions,
}: AuthenticationParts): PasswordReset {
  const endAll = (subject: string): Promise<void> => endAllOf(families, sessions, subject);
  const hash = (password: string, names: readonly string[]): Promise<string> => passwords.hash(password, names);
  return new PasswordReset({ resource, issuer, clock, calls, hash, endAll });
}

async function verifiedBy(
  tokens: AccessTokens,
  families: Families | undefined,
  token: string,
): Promise<TokenPrincipal> {
  if (families === undefined) return tokens.verify(token);
  return tokens.verify(token, ({ session, issuer, subject }) =>
    session !== undefined && tokens.isOurs(issuer) ? families.assertLive(session, subject) : undefined,
  );
}

async function issuedBy(
  tokens: AccessTokens,
  nowMs: number,
  { subject, scopes = [], session, authenticatedAtMs }: Issuance,
): Promise<IssuedToken> {
  const list = [...new Set(scopes)].join(" ");
  const claims = {
    sub: subject,
    ...(list === "" ? {} : { scope: list }),
    ...(session === undefined ? {} : { sid: session }),
    ...(authenticatedAtMs === undefined ? {} : { auth_time: Math.floor(authenticatedAtMs / 1_000) }),
  };
  const { token, expiresAtMs, lifeSeconds } = await tokens.sign(claims, nowMs);
  return { accessToken: token, expiresAtMs, expiresInSeconds: lifeSeconds };
}

function assertNotForeign(resource: string, issuers: readonly string[], subject: string): void {
  const foreign = issuers.find((name) => subject.startsWith(`${name}:`));
  if (foreign !== undefined)
    throw subjectInvalid(resource, `subject "${subject}" would be that of a user of issuer "${foreign}"`);
}
