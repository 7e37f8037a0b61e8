import { isLoopback, outsideRequests } from "@steward/core/driver";
import * as client from "openid-client";
import { boundedText } from "../bounded-text.ts";
import { isSafeUrl, isThisMachine, type CheckedOidc } from "./options.ts";

/** What a provider says of itself is asked for again after so long, in ms. */
const FRESH_MS = 3_600_000;
const MAX_BYTES = 262_144;
/** Only what a provider signs with its own key, which its document names. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

/** What a provider says when it, or what it knows of us, is at fault and not the user. */
const OUTAGES = ["server_error", "temporarily_unavailable", "invalid_client", "unauthorized_client"];

/** The provider did not answer, or not as one. */
export class Unreachable extends Error {}

/** Whether an error comes of a provider that did not answer. */
export function isUnreachable(error: unknown): boolean {
  for (let one = error, depth = 0; depth < 5 && one instanceof Error; one = one.cause, depth++)
    if (one instanceof Unreachable || one.name === "TimeoutError" || isOutage(one)) return true;
  return false;
}

/** Whether the browser came back with the word that the provider is not well. */
function isOutage(error: Error): boolean {
  return error instanceof client.AuthorizationResponseError && OUTAGES.includes(error.error);
}

/** A provider, of which it is found out what it says of itself, when it is first needed. */
export class Provider {
  readonly #options: CheckedOidc;
  #config: client.Configuration | undefined;
  #foundAt = Number.NEGATIVE_INFINITY;
  #finding: Promise<client.Configuration> | undefined;

  constructor(options: CheckedOidc) {
    this.#options = options;
  }

  /** What it says of itself; after an hour what it said before, while it is asked anew. */
  async config(): Promise<client.Configuration> {
    const known = this.#config;
    if (known !== undefined && this.#options.clock.now() - this.#foundAt < FRESH_MS) return known;
    // It is for all who sign in: not over with the request that asks first.
    const finding = (this.#finding ??= outsideRequests(() => this.#found()));
    const done = (): void => {
      if (this.#finding === finding) this.#finding = undefined;
    };
    finding.then(done, done);
    return known ?? finding;
  }

  /** Who asks next asks anew, and does not wait for an answer that comes too late. */
  giveUp(): void {
    this.#finding = undefined;
  }

  /** A document that is wrong says nothing of those who sign in. */
  async #found(): Promise<client.Configuration> {
    try {
      return await this.#find();
    } catch (error) {
      if (isUnreachable(error)) throw error;
      throw new Unreachable("what the provider says of itself is not good", { cause: error });
    }
  }

  async #find(): Promise<client.Configuration> {
    const { issuer, clientId, clientSecret, timeoutMs, clock } = this.#options;
    const isLocal = issuer.protocol === "http:";
    const authentication = clientSecret === undefined ? client.None() : client.ClientSecretPost(clientSecret);
    const found = await client.discovery(issuer, clientId, {}, authentication, {
      [client.customFetch]: (url, options) => this.#fetched(url, options),
      timeout: Math.max(1, Math.ceil(timeoutMs / 1_000)),
      execute: isLocal ? [client.allowInsecureRequests] : [],
    });
    client.enableNonRepudiationChecks(found); // a signature is asked for, TLS or not
    const server = found.serverMetadata();
    const names = ["authorization_endpoint", "token_endpoint", "jwks_uri"] as const;
    const wrong = names.find((name) => !this.#mayAsk(server[name]));
    if (wrong !== undefined) throw new Unreachable(`what the provider says of itself has no good ${wrong}`);
    const signed = server.id_token_signing_alg_values_supported;
    if (signed !== undefined && !signed.some((name) => ALGORITHMS.includes(name)))
      throw new Unreachable("the provider signs with none of its own keys");
    this.#config = found;
    this.#foundAt = clock.now();
    return found;
  }

  /** A provider elsewhere does not send us to this machine. */
  #mayAsk(url: string | undefined): boolean {
    if (!isSafeUrl(url)) return false;
    return isLoopback(this.#options.issuer.hostname) || !isThisMachine(new URL(url).hostname);
  }

  async #fetched(url: string, options: client.CustomFetchOptions): Promise<Response> {
    const { timeoutMs } = this.#options;
    if (!this.#mayAsk(url)) throw new Unreachable("the provider names a URL that is not asked");
    const late = AbortSignal.timeout(timeoutMs);
    try {
      const given = { ...options, redirect: "manual", signal: late } as RequestInit; // their body is one of fetch
      const answer = await this.#options.fetch(url, given);
      const text = await boundedText(answer, MAX_BYTES);
      assertAnswer(answer.status, text);
      return new Response(text, { status: answer.status, headers: answer.headers });
    } catch (error) {
      throw new Unreachable(`${new URL(url).host} does not answer`, { cause: error });
    }
  }
}

/** What a provider says is JSON: with 200 what it was asked for, with 400 or 401 why a user is refused. All else is an outage. */
function assertAnswer(status: number, text: string): void {
  const isRefusal = status === 400 || status === 401;
  if (status !== 200 && !isRefusal) throw new Error(`it answers with ${status}`);
  const said = jsonOf(text);
  if (!isObject(said)) throw new Error(`it answers with ${status} and no JSON`);
  const { error, keys } = said;
  if (isRefusal && (typeof error !== "string" || OUTAGES.includes(error)))
    throw new Error(`it answers with ${status} ${typeof error === "string" ? error : "and no error"}`);
  if (keys !== undefined && !(Array.isArray(keys) && keys.some(isObject))) throw new Error("it has no keys");
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
