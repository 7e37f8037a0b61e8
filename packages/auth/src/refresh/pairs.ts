import { assertShape, listOf, recognised, required, shape, text, type Shape } from "@steward/core/driver";
import { setupInvalid, tokenInvalid } from "../errors.ts";
import { isScope, isText } from "../tokens/access-token.ts";
import type { Issuance, IssuedToken } from "../tokens/issuance.ts";
import type { Families, Held } from "./families.ts";

/** For whom a pair of tokens is issued. */
export interface PairIssuance extends Omit<Issuance, "session"> {
  /** `user-agent` of the client: only the same one gets an answer again that it has lost. */
  readonly userAgent?: string | undefined;
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
   * The next pair of a session. A refresh token is used once; the client that used it gets the same answer again for
   * `reuseGraceMs`. Any other second use ends the session, because two have the token.
   * @throws {AUTH_TOKEN_INVALID} when it is refused, with one text for all causes.
   * @throws {AUTH_STORE_UNAVAILABLE} when that cannot be found out; the token stays as good as it was.
   */
  refresh(refreshToken: string, client?: { readonly userAgent?: string | undefined }): Promise<TokenPair>;
  /** Ends the session of a refresh token. What is no token of ours changes nothing. */
  logout(refreshToken: string): Promise<void>;
  /** Ends all sessions of a user, on every instance, and those that begin at this moment. */
  logoutEverywhere(subject: string): Promise<void>;
}

const pairShape: Shape<PairIssuance> = /* @__PURE__ */ shape<PairIssuance>(() => ({
  subject: required(recognised(isText, "text of 1 to 255 characters")),
  scopes: listOf(recognised(isScope, 'a scope: 1 to 200 visible ASCII characters except " and \\')),
  userAgent: text(true),
}));

const clientShape = /* @__PURE__ */ shape<{ readonly userAgent?: string | undefined }>(() => ({
  userAgent: text(true),
}));

const subjectRule = /* @__PURE__ */ required(recognised(isText, "text of 1 to 255 characters"));

/** What {@link tokenPairsOf} is made of. */
export interface TokenPairsParts {
  readonly resource: string;
  readonly families: Families | undefined;
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
  { id, subject, scopes, refreshToken, endsAtMs }: Held,
  issue: TokenPairsParts["issue"],
): Promise<TokenPair> {
  const issued = await issue({ subject, scopes, session: id });
  return { ...issued, refreshToken, refreshExpiresAtMs: endsAtMs, session: id };
}

/** The methods of sessions. */
export function tokenPairsOf({ resource, families, ready, assertOurs, canSign, issue }: TokenPairsParts): TokenPairs {
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
    async refresh(refreshToken, client = {}) {
      const all = kept();
      assertShape(`${resource} refresh`, clientShape, client);
      await canSign(); // a token that is used up for nothing would be lost
      return pairOf(await all.use(refreshToken, client.userAgent), issue);
    },
    async logout(refreshToken) {
      await kept().endOf(refreshToken);
    },
    async logoutEverywhere(subject) {
      assertShape(`${resource} logoutEverywhere`, subjectRule, subject);
      await kept().endAll(subject);
    },
  };
}
