/** For whom a token is issued. */
export interface Issuance {
  /** Id of the user or service: text of up to 255 characters. */
  readonly subject: string;
  /** What the token allows; none by default. */
  readonly scopes?: readonly string[] | undefined;
  /** Id of the session that it belongs to. */
  readonly session?: string | undefined;
  /** When its user last proved who it is, in ms since 1970, for `recent`. Default: the token does not say. */
  readonly authenticatedAtMs?: number | undefined;
}

/** A new access token. */
export interface IssuedToken {
  readonly accessToken: string;
  /** When it ends, in ms since 1970. */
  readonly expiresAtMs: number;
  /** How long it is good, in whole seconds: `expires_in` of OAuth2. */
  readonly expiresInSeconds: number;
}
