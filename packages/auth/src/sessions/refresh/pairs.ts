import { assertShape, listOf, recognised, required, shape, text, type Shape } from "@steward/core/driver";
import { credentialsInvalid, setupInvalid, tokenInvalid } from "../../errors.ts";
import { isScope, isSubject, isText } from "../../tokens/access-token.ts";
import type { Issuance, IssuedToken } from "../../tokens/issuance.ts";
import type { Credentials, PasswordSignIn } from "../../passwords/sign-in.ts";
import type { Sessions } from "../cookies/sessions.ts";
import type { Families, Held } from "./families.ts";
import type { ListedFamily } from "./store.ts";

/** For whom a pair of tokens is issued. */
export interface PairIssuance extends Omit<Issuance, "session" | "authenticatedAtMs"> {
  /** `user-agent` of the client: only the same one gets an answer again that it has lost. */
  readonly userAgent?: string | undefined;
}

/** What somebody signs in with, and for what. */
export interface SignIn extends Credentials, Pick<PairIssuance, "scopes" | "userAgent"> {}

/** The first pair of a session that a password began. */
export interface SignedIn extends TokenPair {
  readonly subject: string;
  /** To be kept on the device, such as in a cookie for a year: with it, attempts of strangers do not count here. */
  readonly device: string;
}

/** An access token, and the refresh token that the next pair is got with. */
export interface TokenPair extends IssuedToken {
  readonly refreshToken: string;
  /** When the refresh token ends unless it is used, in ms since 1970. */
  readonly refreshExpiresAtMs: number;
  /** Id of the session, which its access tokens have as `sid`. */
  readonly session: string;
}

/** Sessions of access tokens and refresh tokens. */
export interface TokenPairs {
  /**
   * Begins a session: an access token, and a refresh token for the next pair.
   * @throws {AUTH_SETUP_INVALID} without the option `refresh`.
   * @throws {AUTH_STORE_UNAVAILABLE} when its store does not answer.
   */
  issuePair(to: PairIssuance): Promise<TokenPair>;
  /**
   * Begins a session of the user whose password it is, as {@link issuePair} does.
   * @throws {AUTH_CREDENTIALS_INVALID} when it is refused: the same for a name that does not exist, a wrong password and
   * a user who is disabled.
   * @throws {AUTH_RATE_LIMITED} when there were too many attempts.
   * @throws {AUTH_SETUP_INVALID} without the options `passwords` and `refresh`.
   * @throws {AUTH_STORE_UNAVAILABLE} when it cannot be found out.
   */
  signIn(as: SignIn): Promise<SignedIn>;
  /**
   * The next pair of a session. A refresh token is used once; the client that used it gets the same answer again for
   * `reuseGraceMs`. Any other second use ends the session, because two have the token.
   * @throws {AUTH_TOKEN_INVALID} when it is refused, with one text for all causes.
   * @throws {AUTH_STORE_UNAVAILABLE} when that cannot be found out; the token stays as good as it was.
   */
  refresh(refreshToken: string, client?: { readonly userAgent?: string | undefined }): Promise<TokenPair>;
  /** Ends the session of a refresh token. What is no token of ours changes nothing. */
  logout(refreshToken: string): Promise<void>;
  /**
   * The sessions of a user that refresh tokens go on with, newest first, for the page of an account.
   * @throws {AUTH_STORE_UNAVAILABLE} when their store does not answer.
   */
  listPairs(subject: string): Promise<readonly ListedFamily[]>;
  /**
   * Ends such a session of that user, and of no other. `false` where there is none.
   * @throws {AUTH_STORE_UNAVAILABLE} when their store does not answer.
   */
  revokePair(subject: string, session: string): Promise<boolean>;
  /** Ends all sessions of a user, those of cookies too, on every instance, and those that begin at this moment. */
  logoutEverywhere(subject: string): Promise<void>;
}

const pairShape: Shape<PairIssuance> = /* @__PURE__ */ shape<PairIssuance>(() => ({
  subject: required(recognised(isSubject, "text of 1 to 255 characters without NUL")),
  scopes: listOf(recognised(isScope, 'a scope: 1 to 200 visible ASCII characters except " and \\')),
  userAgent: text(true),
}));

const sessionShape = /* @__PURE__ */ shape<Pick<PairIssuance, "scopes" | "userAgent">>(() => ({
  scopes: listOf(recognised(isScope, 'a scope: 1 to 200 visible ASCII characters except " and \\')),
  userAgent: text(true),
}));

const clientShape = /* @__PURE__ */ shape<{ readonly userAgent?: string | undefined }>(() => ({
  userAgent: text(true),
}));

const subjectRule = /* @__PURE__ */ required(recognised(isSubject, "text of 1 to 255 characters without NUL"));
const sessionRule = /* @__PURE__ */ required(recognised(isText, "text of 1 to 255 characters"));

/** What {@link tokenPairsOf} is made of. */
export interface TokenPairsParts {
  readonly resource: string;
  readonly families: Families | undefined;
  readonly sessions: Sessions;
  readonly passwords: PasswordSignIn;
  /** Throws where calls are refused now. */
  readonly ready: () => void;
  /** Throws where a subject is that of another issuer's user. */
  readonly assertOurs: (subject: string) => void;
  /** Rejects where there is no key to sign with. */
  readonly canSign: () => Promise<void>;
  readonly issue: (to: Issuance) => Promise<IssuedToken>;
}

/** A new pair for a family. */
export async function pairOf(
  { id, subject, scopes, refreshToken, beganAtMs, endsAtMs }: Held,
  issue: TokenPairsParts["issue"],
): Promise<TokenPair> {
  const issued = await issue({ subject, scopes, session: id, authenticatedAtMs: beganAtMs });
  return { ...issued, refreshToken, refreshExpiresAtMs: endsAtMs, session: id };
}

/** The methods of sessions. */
export function tokenPairsOf(parts: TokenPairsParts): TokenPairs {
  const { resource, families, ready, assertOurs, canSign, issue } = parts;
  const kept = (): Families => {
    ready();
    if (families === undefined) throw setupInvalid(resource, "refresh");
    return families;
  };
  return {
    async issuePair(to) {
      const all = kept();
      assertShape(`${resource} issuePair`, pairShape, to);
      const { subject, scopes = [], userAgent } = to;
      assertOurs(subject);
      await canSign();
      const held = await all.begin(subject, [...new Set(scopes)], userAgent);
      if (held === undefined) throw tokenInvalid(resource);
      return pairOf(held, issue);
    },
    signIn: (as) => signedIn(parts, kept, as),
    async refresh(refreshToken, client = {}) {
      const all = kept();
      assertShape(`${resource} refresh`, clientShape, client);
      await canSign(); // a token that is used up for nothing would be lost
      return pairOf(await all.use(refreshToken, client.userAgent), issue);
    },
    async logout(refreshToken) {
      await kept().endOf(refreshToken);
    },
    async listPairs(subject) {
      const all = kept();
      assertShape(`${resource} listPairs`, subjectRule, subject);
      return all.list(subject);
    },
    async revokePair(subject, session) {
      const all = kept();
      assertShape(`${resource} revokePair`, subjectRule, subject);
      assertShape(`${resource} revokePair`, sessionRule, session);
      return all.revoke(subject, session);
    },
    async logoutEverywhere(subject) {
      if (!parts.sessions.areKept) kept();
      ready();
      assertShape(`${resource} logoutEverywhere`, subjectRule, subject);
      await endAllOf(families, parts.sessions, subject);
    },
  };
}

/**
 * Ends all sessions of a user. Both kinds are tried: an outage of one is no reason to keep the other's. Those of cookies
 * are asked for before anything ends: tables of one prefix share the epochs of users, and in a later one none is listed.
 */
export async function endAllOf(families: Families | undefined, sessions: Sessions, subject: string): Promise<void> {
  const known = sessions.areKept ? sessions.idsOf(subject) : undefined;
  await known?.catch(() => {}); // it fails below
  const ends = [families?.endAll(subject), known === undefined ? undefined : sessions.endAll(subject, known)];
  const failed = (await Promise.allSettled(ends)).find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

async function signedIn(
  { resource, passwords, assertOurs, canSign, issue }: TokenPairsParts,
  kept: () => Families,
  { scopes = [], userAgent, ...credentials }: SignIn,
): Promise<SignedIn> {
  const all = kept();
  assertShape(`${resource} signIn`, sessionShape, { scopes, userAgent });
  await canSign();
  const { subject, device, epoch } = await passwords.check(credentials, (id) => all.epoch(id));
  assertOurs(subject);
  const held = await all.begin(subject, [...new Set(scopes)], userAgent, epoch);
  if (held === undefined) throw credentialsInvalid(resource); // all sessions of the user were ended at this moment
  return { ...(await pairOf(held, issue)), subject, device };
}
