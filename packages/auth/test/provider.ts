import { createHash, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from "jose";

/** Who we are at the provider. */
export const CLIENT = { clientId: "clips", clientSecret: "a secret of the client" };

interface Code {
  readonly nonce: string;
  readonly challenge: string;
  readonly redirectUri: string;
  isUsed: boolean;
}

/** How it signs an ID token. */
export type Signer = (payload: JWTPayload, provider: TestProvider) => Promise<string>;

/** A provider of OpenID Connect, which may be made to lie. */
export class TestProvider {
  /** What it says of itself besides. */
  metadata: Record<string, unknown> = {};
  /** What its ID tokens say besides; `undefined` takes something out. */
  claims: Record<string, unknown> = {};
  /** What it does on a path in the place of what it should. */
  readonly instead = new Map<string, (response: ServerResponse) => void>();
  readonly asked: string[] = [];
  /** Whether a code is good for one use. */
  isStrict = true;
  sign: Signer = (payload, { key }) =>
    new SignJWT(payload).setProtectedHeader({ alg: "ES256", kid: "p1", typ: "JWT" }).sign(key);
  url = "";
  readonly key: CryptoKey;
  readonly #publicKey: CryptoKey;
  readonly #codes = new Map<string, Code>();

  private constructor(key: CryptoKey, publicKey: CryptoKey) {
    this.key = key;
    this.#publicKey = publicKey;
  }

  static async start(t: { teardown(end: () => Promise<unknown>): unknown }): Promise<TestProvider> {
    const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
    const provider = new TestProvider(privateKey, publicKey);
    const server = createServer((request, response) => void provider.#answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.teardown(() => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))));
    provider.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return provider;
  }

  /** The user agrees: where the browser is sent back to. */
  authorize(location: string, change: Record<string, string | undefined> = {}): string {
    const asked = new URL(location).searchParams;
    const text = (name: string): string => asked.get(name) ?? "";
    const code = randomUUID();
    const [nonce, challenge, redirectUri] = [text("nonce"), text("code_challenge"), text("redirect_uri")];
    this.#codes.set(code, { nonce, challenge, redirectUri, isUsed: false });
    const back = new URL(redirectUri);
    const given = { code, state: text("state"), iss: this.url, ...change };
    for (const [name, value] of Object.entries(given)) if (value !== undefined) back.searchParams.set(name, value);
    return back.href;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", this.url);
    this.asked.push(pathname);
    const instead = this.instead.get(pathname);
    if (instead !== undefined) return instead(response);
    let body = "";
    for await (const part of request) body += String(part);
    const [status, answer] = await this.#given(pathname, new URLSearchParams(body));
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  async #given(path: string, form: URLSearchParams): Promise<[number, unknown]> {
    if (path === "/.well-known/openid-configuration") return [200, this.#document()];
    if (path === "/jwks") {
      const jwk = await exportJWK(this.#publicKey);
      return [200, { keys: [{ ...jwk, kid: "p1", alg: "ES256", use: "sig" }] }];
    }
    const code = this.#codes.get(form.get("code") ?? "");
    const challenge = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    const isGood = code !== undefined && challenge === code.challenge && form.get("redirect_uri") === code.redirectUri;
    if (!isGood || (code.isUsed && this.isStrict) || form.get("client_secret") !== CLIENT.clientSecret)
      return [400, { error: "invalid_grant" }];
    code.isUsed = true;
    return [200, { access_token: "theirs", token_type: "Bearer", id_token: await this.#idToken(code.nonce) }];
  }

  #document(): unknown {
    return {
      issuer: this.url,
      authorization_endpoint: `${this.url}/authorize`,
      token_endpoint: `${this.url}/token`,
      jwks_uri: `${this.url}/jwks`,
      response_types_supported: ["code"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["ES256"],
      authorization_response_iss_parameter_supported: true,
      ...this.metadata,
    };
  }

  #idToken(nonce: string): Promise<string> {
    const iat = Math.floor(Date.now() / 1_000);
    const whole = { iss: this.url, aud: CLIENT.clientId, sub: "ada-17", iat, exp: iat + 300, nonce, ...this.claims };
    const defined = Object.entries(whole).filter(([, value]) => value !== undefined);
    return this.sign(Object.fromEntries(defined), this);
  }
}
