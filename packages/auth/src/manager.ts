import type { MetricSample } from "@steward/core";
import { checkOptions, defineDriver, Manager, type DriverFactory, type ManagerContext } from "@steward/core/driver";
import { seriesOf, type AuthenticationStats } from "./health.ts";
import { authenticationSchema, type AuthenticationOptions, type CheckedOptions } from "./options.ts";
import { ApiKeyring, type ApiKeyringParts } from "./tokens/keys/api-keys.ts";
import { PasswordSignIn } from "./passwords/sign-in.ts";
import { Sessions } from "./sessions/cookies/sessions.ts";
import { Families } from "./sessions/refresh/families.ts";
import { isActive, type Users } from "./sessions/refresh/options.ts";
import { SessionEnds, type EndedSessions } from "./sessions/ends.ts";
import { StoreCalls } from "./sessions/store-calls.ts";
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
  readonly #passwords: PasswordSignIn;
  readonly #sessions: Sessions;
  readonly #calls: StoreCalls;
  readonly #ends: SessionEnds;
  #keyring: ApiKeyring | undefined;

  /** @throws {OPTIONS_INVALID} listing every option that is unknown or wrong. */
  constructor(options: AuthenticationOptions, context: ManagerContext = {}) {
    super("authentication", context);
    const checked = checkOptions(this.name, authenticationSchema, options);
    this.#tokens = new AccessTokens(this.name, this.clock, checked);
    this.#calls = new StoreCalls(this.name, this.clock, checked.timeoutMs);
    const { issuer } = checked;
    this.#ends = new SessionEnds({
      clock: this.clock,
      issuer,
      bus: checked.bus?.(),
      forget: (ended) => this.#forget(ended),
    });
    this.#families = this.#familiesOf(checked);
    const basis = { resource: this.name, clock: this.clock, issuer, calls: this.#calls };
    this.#passwords = new PasswordSignIn({ ...basis, options: checked.passwords });
    const ended = (these: EndedSessions): void => this.#ends.say(these);
    const sessions = { options: checked.sessions, passwords: this.#passwords, ended, ...this.#activity(checked) };
    this.#sessions = new Sessions({ ...basis, ...sessions });
    this.client = authenticationOf({
      ...basis,
      tokens: this.#tokens,
      families: this.#families,
      passwords: this.#passwords,
      sessions: this.#sessions,
      ends: this.#ends,
      keyringOf: (checks) => (this.#keyring = this.#keyringOf(checked, checks)),
      keys: checked.keys(),
      issuers: Object.keys(checked.issuers),
      refusal: () => this.unavailable(),
    });
  }

  #familiesOf(checked: CheckedOptions): Families | undefined {
    const { issuer, refresh, revocation, revocationCacheMs } = checked;
    if (refresh === undefined) return undefined;
    return new Families({
      resource: this.name,
      clock: this.clock,
      issuer,
      options: refresh,
      users: usersOf(checked),
      mode: revocation,
      cacheMs: revocationCacheMs,
      calls: this.#calls,
      ended: (these) => this.#ends.say(these),
    });
  }

  #forget(ended: EndedSessions | undefined): void {
    this.#families?.forget(ended);
    this.#keyring?.forget(ended);
  }

  #keyringOf(checked: CheckedOptions, checks: Pick<ApiKeyringParts, "ready" | "assertOurs">): ApiKeyring {
    const { issuer, apiKeys } = checked;
    return new ApiKeyring({
      ...checks,
      resource: this.name,
      clock: this.clock,
      issuer,
      options: apiKeys,
      calls: this.#calls,
      counts: this.#tokens.counts,
      ended: (these) => this.#ends.say(these),
      ...this.#activity(checked),
    });
  }

  /** Whether users may go on, and how long that is remembered. */
  #activity(checked: CheckedOptions): Pick<ApiKeyringParts, "cacheMs" | "isActive"> {
    const users = usersOf(checked);
    return {
      cacheMs: checked.revocation === "strict" ? 0 : checked.revocationCacheMs,
      isActive: async (subject) => {
        if (users === undefined) return true;
        return isActive(await this.#calls.run("users", () => users.find(subject)));
      },
    };
  }

  /** Its numbers. */
  override stats(): Readonly<Record<string, unknown>> & AuthenticationStats {
    return Object.freeze({
      phase: this.phase,
      remembered: this.#tokens.remembered,
      verifications: { ...this.#tokens.counts },
      refreshes: { ...this.#families?.counts },
      signIns: { ...this.#passwords.counts },
      storeFailures: this.#calls.failures,
      busFailures: this.#ends.failures,
    });
  }

  protected override get hasWorkToDrain(): boolean {
    return false;
  }

  protected override async onStart(): Promise<void> {
    await this.#tokens.open();
    this.#ends.open();
  }

  /** There is a key to sign with. */
  protected override async onProbe(): Promise<void> {
    await this.#tokens.probe();
  }

  protected override async onStop(): Promise<void> {
    this.#tokens.close();
    this.#forget(undefined);
    await this.#ends.close();
    this.#sessions.forget();
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { counts: signIns } = this.#passwords;
    yield* seriesOf({ verifications: this.#tokens.counts, refreshes: this.#families?.counts, signIns }, attributes);
  }
}

function usersOf({ users, passwords }: CheckedOptions): Users | undefined {
  return users?.() ?? passwords?.users();
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
