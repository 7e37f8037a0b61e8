import type { MetricSample } from "@steward/core";
import { checkOptions, defineDriver, Manager, type DriverFactory, type ManagerContext } from "@steward/core/driver";
import { seriesOf, type AuthenticationStats } from "./health.ts";
import { authenticationSchema, type AuthenticationOptions, type CheckedOptions } from "./options.ts";
import { ApiKeyring, type ApiKeyringParts } from "./keys/api-keys.ts";
import { Families } from "./refresh/families.ts";
import { StoreCalls } from "./refresh/store-calls.ts";
import { AccessTokens } from "./tokens/access-tokens.ts";
import { authenticationOf, type Authentication } from "./tokens/authentication.ts";

/**
 * Looks after access tokens: issues them, and finds out whose they are.
 *
 * @example
 * ```ts
 * import { AuthenticationManager } from "@steward/auth";
 * import { testTokenKeys } from "@steward/auth/testing";
 * const options = { issuer: "https://clips.example", audience: "clips", keys: testTokenKeys() };
 * await using manager = await new AuthenticationManager(options).start();
 * const { accessToken } = await manager.client.issue({ subject: "ada", scopes: ["videos:read"] });
 * const { subject, scopes } = await manager.client.verify(accessToken);
 * console.log(subject, [...scopes]); // => ada [ 'videos:read' ]
 * ```
 */
export class AuthenticationManager extends Manager<Authentication> {
  override readonly client: Authentication;
  readonly #tokens: AccessTokens;
  readonly #families: Families | undefined;
  readonly #calls: StoreCalls;
  #keyring: ApiKeyring | undefined;

  /** @throws {OPTIONS_INVALID} listing every option that is unknown or wrong. */
  constructor(options: AuthenticationOptions, context: ManagerContext = {}) {
    super("authentication", context);
    const checked = checkOptions(this.name, authenticationSchema, options);
    this.#tokens = new AccessTokens(this.name, this.clock, checked);
    this.#calls = new StoreCalls(this.name, this.clock, checked.timeoutMs);
    this.#families = this.#familiesOf(checked);
    this.client = authenticationOf({
      resource: this.name,
      clock: this.clock,
      tokens: this.#tokens,
      families: this.#families,
      keyringOf: (checks) => (this.#keyring = this.#keyringOf(checked, checks)),
      keys: checked.keys(),
      issuers: Object.keys(checked.issuers),
      refusal: () => this.unavailable(),
    });
  }

  #familiesOf({ issuer, refresh, users, revocation, revocationCacheMs }: CheckedOptions): Families | undefined {
    if (refresh === undefined) return undefined;
    return new Families({
      resource: this.name,
      clock: this.clock,
      issuer,
      options: refresh,
      users: users?.(),
      mode: revocation,
      cacheMs: revocationCacheMs,
      calls: this.#calls,
    });
  }

  #keyringOf(
    { issuer, apiKeys, users, revocation, revocationCacheMs }: CheckedOptions,
    checks: Pick<ApiKeyringParts, "ready" | "assertOurs">,
  ): ApiKeyring {
    const find = users === undefined ? undefined : (id: string) => users().find(id);
    return new ApiKeyring({
      ...checks,
      resource: this.name,
      clock: this.clock,
      issuer,
      options: apiKeys,
      calls: this.#calls,
      cacheMs: revocation === "strict" ? 0 : revocationCacheMs,
      isActive: async (subject) => {
        if (find === undefined) return true;
        const user = await this.#calls.run("users", () => find(subject));
        return user !== undefined && user.isDisabled !== true;
      },
    });
  }

  /** Its numbers. */
  override stats(): Readonly<Record<string, unknown>> & AuthenticationStats {
    return Object.freeze({
      phase: this.phase,
      remembered: this.#tokens.remembered,
      verifications: { ...this.#tokens.counts },
      refreshes: { ...this.#families?.counts },
      storeFailures: this.#calls.failures,
    });
  }

  protected override get hasWorkToDrain(): boolean {
    return false;
  }

  protected override async onStart(): Promise<void> {
    await this.#tokens.open();
  }

  /** There is a key to sign with. */
  protected override async onProbe(): Promise<void> {
    await this.#tokens.probe();
  }

  protected override onStop(): void {
    this.#tokens.close();
    this.#families?.forget();
    this.#keyring?.forget();
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    yield* seriesOf(this.#tokens.counts, this.#families?.counts, attributes);
  }
}

/**
 * Defines a resource that issues and verifies access tokens.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { container } from "@steward/container";
 * import { authentication } from "@steward/auth";
 * import { cryptoBackend } from "@steward/crypto";
 * const crypto = cryptoBackend("crypto", { keysets: { access: { algorithm: "token-hs256" } } });
 * const auth = authentication("auth", {
 *   needs: { crypto },
 *   options: ({ crypto }) => ({ issuer: "https://clips.example", audience: "clips", keys: crypto.token("access") }),
 * });
 * await using running = await container([auth]).start();
 * const { accessToken } = await running.get(auth).issue({ subject: "ada" });
 * console.log((await running.get(auth).verify(accessToken)).subject); // => ada
 * ```
 */
export const authentication: DriverFactory<AuthenticationOptions, Authentication> = /* @__PURE__ */ defineDriver({
  kind: "authentication",
  schema: authenticationSchema,
  settings: { tags: ["security"] },
  create: (options: AuthenticationOptions, context) => new AuthenticationManager(options, context),
});
