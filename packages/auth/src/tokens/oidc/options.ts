import { systemClock, type Clock } from "@steward/core";
import {
  func,
  isLoopback,
  listOf,
  milliseconds,
  recognised,
  required,
  shape,
  text,
  withMethods,
  type Shape,
} from "@steward/core/driver";
import { isScope } from "../access-token.ts";

/** Seals what a browser keeps while its user is at the provider: `crypto.aead("oidc")` of `@steward/crypto`. */
export interface StateSealing {
  encrypt(plaintext: string, options: { readonly aad: string }): Promise<Uint8Array>;
  /** Rejects for what is not as it was written. */
  decrypt(message: Uint8Array, options: { readonly aad: string }): Promise<Uint8Array>;
}

/** How users sign in with a provider of OpenID Connect. */
export interface OidcOptions {
  /** The provider, exactly as it calls itself: a URL with https, or http to this machine. */
  readonly issuer: string;
  /** Who we are there. */
  readonly clientId: string;
  /** Our secret there. Default: none, for a public client. */
  readonly clientSecret?: string | undefined;
  /** Where the provider sends users back to, as it is registered there: a URL with https, or http to this machine. */
  readonly redirectUri: string;
  /** What seals the state of a sign-in: `crypto.aead("oidc")`. All instances have to have the same one. */
  readonly sealing: StateSealing;
  /** What is asked for besides `openid`, such as `email`. Default: nothing. */
  readonly scopes?: readonly string[] | undefined;
  /** Longest wait for the provider in one call, in ms. Default 5,000. */
  readonly timeoutMs?: number | undefined;
  /** How long a user may take at the provider, in ms. From 10,000 to 3,600,000. Default 600,000. */
  readonly stateTtlMs?: number | undefined;
  /** What asks the provider. Default: the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

/** The same with what was left out. */
export interface CheckedOidc {
  readonly issuer: URL;
  readonly clientId: string;
  readonly clientSecret: string | undefined;
  readonly redirectUri: URL;
  readonly sealing: StateSealing;
  readonly scope: string;
  readonly timeoutMs: number;
  readonly stateTtlMs: number;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
}

/** Whether a URL may be asked, or sent to: with https, or http to this machine. */
export function isSafeUrl(value: unknown): value is string {
  if (typeof value !== "string" || !URL.canParse(value)) return false;
  const { protocol, hostname, username, password } = new URL(value);
  if (username !== "" || password !== "") return false;
  return protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
}

/** Whether a host name leads to this machine, in whatever way it says so. */
export function isThisMachine(hostname: string): boolean {
  return isLoopback(hostname) || /^(0\.0\.0\.0|\[::\]|(.+\.)?localhost\.?)$/.test(hostname);
}

function isBareUrl(value: unknown): boolean {
  return isSafeUrl(value) && new URL(value).search === "" && new URL(value).hash === "";
}

/** The document of a provider is no issuer: whose it is would not be compared. */
function isIssuer(value: unknown): boolean {
  return isBareUrl(value) && !String(value).includes("/.well-known/");
}

const urlText = "a URL with https, without credentials, query and fragment, or http to this machine";
const urlRule = recognised(isBareUrl, urlText);

const oidcShape: Shape<OidcOptions> = /* @__PURE__ */ shape<OidcOptions>(() => ({
  issuer: required(recognised(isIssuer, `${urlText}, and without /.well-known/ and what follows`)),
  clientId: required(text()),
  clientSecret: text(),
  redirectUri: required(urlRule),
  sealing: required(withMethods("what crypto.aead(name) of @steward/crypto gives", "encrypt", "decrypt")),
  scopes: listOf(recognised(isScope, 'a scope: 1 to 200 visible ASCII characters except " and \\')),
  timeoutMs: milliseconds(1),
  stateTtlMs: milliseconds(10_000, 3_600_000),
  fetch: func(),
  clock: withMethods("a clock", "now", "wallNow", "setTimeout"),
}));

/** @throws {OPTIONS_INVALID} listing every option that is unknown or wrong. */
export function checkedOidc(options: OidcOptions, check: (rule: Shape<OidcOptions>) => void): CheckedOidc {
  check(oidcShape);
  const { clientId, clientSecret, sealing, scopes = [], timeoutMs = 5_000, stateTtlMs = 600_000 } = options;
  return {
    issuer: new URL(options.issuer),
    clientId,
    clientSecret,
    redirectUri: new URL(options.redirectUri),
    sealing,
    scope: [...new Set(["openid", ...scopes])].join(" "),
    timeoutMs,
    stateTtlMs,
    fetch: options.fetch ?? globalThis.fetch,
    clock: options.clock ?? systemClock,
  };
}
