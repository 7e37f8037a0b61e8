import { isStewardError } from "@steward/core";
import { assertShape, isGivenUp, required, shape, text, withTimeout, type Shape } from "@steward/core/driver";
import * as client from "openid-client";
import { providerUnavailable, sealingUnavailable, signInInvalid } from "../../errors.ts";
import { publisherOf } from "../events.ts";
import { Remembered } from "../remembered.ts";
import { checkedOidc, type CheckedOidc, type OidcOptions } from "./options.ts";
import { isUnreachable, Provider } from "./provider.ts";
import { ownPath, SignInStates, type SignInState } from "./state.ts";

/** A sign-in that has begun. */
export interface BegunOidc {
  /** Where the browser is sent. */
  readonly location: string;
  /** The header `set-cookie` of that answer. */
  readonly setCookie: string;
}

/** What a browser comes back with. */
export interface OidcReturn {
  /** URL of the request, or its path: only its query is looked at. */
  readonly url: string;
  /** Its header `cookie`. */
  readonly cookie?: string | undefined;
}

/** Somebody whom the provider knows. */
export interface SignedInElsewhere {
  readonly issuer: string;
  /** Id of the user at the provider, 1 to 255 characters of ASCII: together with `issuer` it never means somebody else. */
  readonly subject: string;
  /** The address of mail, where the provider says that it is verified. It is no id, and joins no accounts by itself. */
  readonly verifiedEmail: string | undefined;
  /** When the user signed in there, in ms since 1970, where the provider says so. */
  readonly authenticatedAtMs: number | undefined;
  /** All that the ID token says. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** A path of ours: what `begin` was given, or `/`. */
  readonly returnTo: string;
  /** The header `set-cookie` of the answer, which forgets the state. */
  readonly setCookie: string;
}

/** Sign-in with a provider of OpenID Connect. Its methods need no `this`. */
export interface OidcSignIn {
  /**
   * Begins a sign-in: code, PKCE, state and nonce.
   * @param to `returnTo`: a path of ours to go on with afterwards; anything else counts as `/`.
   * @throws {AUTH_PROVIDER_UNAVAILABLE} when the provider does not answer in time; servers answer 503.
   * @throws {AUTH_KEYS_UNAVAILABLE} when nothing can be sealed now; servers answer 503.
   */
  begin(to?: { readonly returnTo?: string | undefined }): Promise<BegunOidc>;
  /**
   * Who has come back.
   * @throws {AUTH_TOKEN_INVALID} when it is refused, with one text for all causes; servers answer 401.
   * @throws {AUTH_PROVIDER_UNAVAILABLE} when the provider does not answer in time; the state stays good.
   * @throws {AUTH_KEYS_UNAVAILABLE} when the state cannot be opened now.
   */
  finish(back: OidcReturn): Promise<SignedInElsewhere>;
}

interface Beginning {
  readonly returnTo?: string | undefined;
}

const beginShape: Shape<Beginning> = /* @__PURE__ */ shape<Beginning>(() => ({ returnTo: text(true) }));
const returnShape: Shape<OidcReturn> = /* @__PURE__ */ shape<OidcReturn>(() => ({
  url: required(text()),
  cookie: text(true),
}));
const RESOURCE = "oidc";
const MAX_USED = 100_000;
const MAX_URL = 16_384;
/** Longest difference between a provider's clock and ours, in seconds. */
const SKEW_S = 300;
/** What OpenID Connect Core 1.0, section 2, has as `sub`, without spaces before it. */
const SUBJECT = /^[\x21-\x7e][\x20-\x7e]{0,254}$/;
const EMAIL = /^[^\s\p{Cc}\p{Cs}]{1,320}$/u;

/**
 * Sign-in with a provider of OpenID Connect, such as Google, Entra or Keycloak. It is asked only when somebody signs in,
 * so one that is away holds up no start.
 *
 * @throws {OPTIONS_INVALID} listing every option that is unknown or wrong.
 */
export function oidcSignIn(options: OidcOptions): OidcSignIn {
  const checked = checkedOidc(options, (rule) => assertShape("oidcSignIn", rule, options));
  const flow = new Flow(checked);
  return Object.freeze({
    async begin(to: Beginning = {}) {
      assertShape("oidc begin", beginShape, to);
      return flow.begin(to.returnTo ?? "/");
    },
    async finish(back: OidcReturn) {
      assertShape("oidc finish", returnShape, back);
      return flow.finish(back);
    },
  });
}

class Flow {
  readonly #options: CheckedOidc;
  readonly #provider: Provider;
  readonly #states: SignInStates;
  /** States that have been used here: a browser that shows one again is refused before the provider is asked. */
  readonly #used: Remembered<true>;
  readonly #publish = publisherOf(RESOURCE);

  constructor(options: CheckedOidc) {
    this.#options = options;
    this.#provider = new Provider(options);
    this.#states = new SignInStates(options);
    this.#used = new Remembered(options.clock, MAX_USED, options.stateTtlMs);
  }

  async begin(returnTo: string): Promise<BegunOidc> {
    const { redirectUri, scope, stateTtlMs, clock } = this.#options;
    const config = await this.#bounded(() => this.#provider.config());
    const [state, nonce, verifier] = [client.randomState(), client.randomNonce(), client.randomPKCECodeVerifier()];
    const location = client.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri.href,
      scope,
      state,
      nonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    });
    const kept = { state, nonce, verifier, returnTo: ownPath(returnTo), endsAtMs: clock.wallNow() + stateTtlMs };
    return { location: location.href, setCookie: await this.#sealed(() => this.#states.write(kept)) };
  }

  async finish({ url, cookie }: OidcReturn): Promise<SignedInElsewhere> {
    const search = searchOf(url);
    const states = new URLSearchParams(search).getAll("state");
    const [asked] = states;
    if (asked === undefined || states.length > 1) throw this.#refusal("it has no state");
    const kept = await this.#sealed(() => this.#states.read(asked, cookie));
    if (kept === undefined) throw this.#refusal("this browser has not begun it, or too long ago");
    if (this.#used.get(asked) === true) throw this.#refusal("it was used before");
    const keep = this.#used.begin();
    keep(asked, true); // before the provider is asked, so that of two at once one goes on
    try {
      return await this.#exchanged(kept, search);
    } catch (error) {
      if (isStewardError(error, "AUTH_PROVIDER_UNAVAILABLE")) this.#used.drop(asked);
      throw error;
    }
  }

  async #exchanged({ state, nonce, verifier, returnTo }: SignInState, search: string): Promise<SignedInElsewhere> {
    const current = new URL(this.#options.redirectUri.href); // as it is registered, whatever host the request names
    current.search = search;
    const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
    const claims = await this.#bounded(async () => {
      const config = await this.#provider.config();
      return (await client.authorizationCodeGrant(config, current, checks)).claims();
    });
    if (claims === undefined || !SUBJECT.test(claims.sub)) throw this.#refusal("it names no one");
    const { iss, sub, azp, iat, email, email_verified: isVerified, auth_time: seconds } = claims;
    const { clientId, clock } = this.#options;
    const latest = clock.wallNow() / 1_000 + SKEW_S;
    if (azp !== undefined && azp !== clientId) throw this.#refusal("it was given to another client");
    if (iat > latest) throw this.#refusal("it is from a time that has not come");
    this.#publish("sign-in", sub);
    return {
      issuer: iss,
      subject: sub,
      verifiedEmail: typeof email === "string" && isVerified === true && EMAIL.test(email) ? email : undefined,
      authenticatedAtMs: typeof seconds === "number" && seconds >= 0 && seconds <= latest ? seconds * 1_000 : undefined,
      claims,
      returnTo,
      setCookie: this.#states.forget(state),
    };
  }

  /** In time; sealing that fails says nothing of who signs in. */
  async #sealed<T>(work: () => Promise<T>): Promise<T> {
    const { clock, timeoutMs } = this.#options;
    try {
      return await withTimeout(clock, timeoutMs, work, { abort: new AbortController() });
    } catch (error) {
      throw sealingUnavailable(RESOURCE, error);
    }
  }

  /** In time; what is no outage is a refusal. */
  async #bounded<T>(work: () => Promise<T>): Promise<T> {
    const { clock, timeoutMs, issuer } = this.#options;
    const endsAt = clock.now() + timeoutMs;
    const abort = new AbortController();
    try {
      return await withTimeout(clock, timeoutMs, work, { abort });
    } catch (error) {
      if (abort.signal.aborted) this.#provider.giveUp();
      if (isGivenUp(error, endsAt)) throw error;
      if (isStewardError(error) && error.code.startsWith("AUTH_")) throw error;
      if (abort.signal.aborted || isStewardError(error) || isUnreachable(error))
        throw providerUnavailable(RESOURCE, issuer.host, error);
      throw this.#refusal(error instanceof Error ? error.message : String(error));
    }
  }

  #refusal(reason: string): Error {
    this.#publish("sign-in", undefined, reason);
    return signInInvalid(RESOURCE);
  }
}

/** The query of a request. */
function searchOf(url: string): string {
  if (url.length > MAX_URL || !URL.canParse(url, "http://own.invalid")) return "";
  return new URL(url, "http://own.invalid").search;
}
