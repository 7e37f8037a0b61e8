import { isLoopback } from "@steward/core/driver";
import * as client from "openid-client";
import { isSafeUrl, type CheckedOidc } from "./options.ts";

/** What a provider says of itself is asked for again after so long, in ms. */
const FRESH_MS = 3_600_000;
const MAX_BYTES = 262_144;
/** Only what a provider signs with its own key, which its document names. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

/** The provider did not answer, or not as one. */
export class Unreachable extends Error {}

/** Whether an error comes of a provider that did not answer. */
export function isUnreachable(error: unknown): boolean {
  for (let one = error, depth = 0; depth < 5 && one instanceof Error; one = one.cause, depth++)
    if (one instanceof Unreachable || one.name === "TimeoutError") return true;
  return false;
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

  /** What it says of itself; what it said before, while it does not answer. */
  async config(): Promise<client.Configuration> {
    const known = this.#config;
    if (known !== undefined && this.#options.clock.now() - this.#foundAt < FRESH_MS) return known;
    const finding = (this.#finding ??= this.#found());
    try {
      return await finding;
    } catch (error) {
      if (known === undefined) throw error;
      return known;
    } finally {
      if (this.#finding === finding) this.#finding = undefined;
    }
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
    return isLoopback(this.#options.issuer.hostname) || !isLoopback(new URL(url).hostname);
  }

  async #fetched(url: string, options: client.CustomFetchOptions): Promise<Response> {
    const { timeoutMs } = this.#options;
    if (!this.#mayAsk(url)) throw new Unreachable("the provider names a URL that is not asked");
    const late = AbortSignal.timeout(timeoutMs);
    try {
      const given = { ...options, redirect: "manual", signal: late } as RequestInit; // their body is one of fetch
      const answer = await this.#options.fetch(url, given);
      if (answer.status >= 300 && answer.status < 400) throw new Error("it leads elsewhere");
      if (answer.status >= 500 || answer.status === 429) throw new Error(`it answers with ${answer.status}`);
      const text = await boundedText(answer);
      return new Response(text === "" ? null : text, { status: answer.status, headers: answer.headers });
    } catch (error) {
      throw new Unreachable(`${new URL(url).host} does not answer`, { cause: error });
    }
  }
}

/** The body, which may not be endless. */
async function boundedText(answer: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  // Node's streams of the web are iterable.
  for await (const part of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    size += part.length;
    if (size > MAX_BYTES) throw new Error(`it answers with more than ${MAX_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
