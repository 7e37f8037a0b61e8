import { webcrypto } from "node:crypto";
import type { PubSub, TokenKey, TokenKeys } from "@steward/core";
import { FakeClock } from "@steward/testing";
import { SignJWT, type JWTHeaderParameters } from "jose";
import {
  AuthenticationManager,
  memoryFamilies,
  type Authentication,
  type AuthenticationOptions,
  type RefreshOptions,
} from "../src/index.ts";
import { testTokenMac } from "../src/testing.ts";

/** Keys of tokens in a test's hand: any number of them, the last one signs. */
export class HeldKeys implements TokenKeys {
  readonly #keys = new Map<string, { signing: TokenKey; verifying: TokenKey }>();
  readonly #listeners = new Set<() => void>();
  #last = "";
  broken = false;
  looks = 0;

  async add(kid: string, algorithm: "HS256" | "ES256" | "RS256"): Promise<webcrypto.CryptoKey> {
    const [signing, verifying] = await pairOf(algorithm);
    this.#keys.set(kid, { signing: { kid, algorithm, key: signing }, verifying: { kid, algorithm, key: verifying } });
    this.#last = kid;
    this.#changed();
    return verifying;
  }

  remove(kid: string): void {
    this.#keys.delete(kid);
    this.#changed();
  }

  signing = async (kid = this.#last): Promise<TokenKey> => {
    const key = this.#keys.get(kid)?.signing;
    if (key === undefined || this.broken) throw new Error("the store of keys is away");
    return key;
  };

  verifying = async (kid: string): Promise<TokenKey | undefined> => {
    this.looks++;
    if (this.broken) throw new Error("the store of keys is away");
    return this.#keys.get(kid)?.verifying;
  };

  jwks = async (): Promise<{ keys: webcrypto.JsonWebKey[] }> => ({
    keys: await Promise.all([...this.#keys.values()].map(({ verifying }) => jwkOf(verifying))),
  });

  onChange = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  get listeners(): number {
    return this.#listeners.size;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

async function pairOf(algorithm: "HS256" | "ES256" | "RS256"): Promise<[webcrypto.CryptoKey, webcrypto.CryptoKey]> {
  if (algorithm === "HS256") {
    const how = { name: "HMAC", hash: "SHA-256", length: 256 };
    const key = await webcrypto.subtle.generateKey(how, true, ["sign", "verify"]);
    return [key, key];
  }
  const how =
    algorithm === "ES256"
      ? { name: "ECDSA", namedCurve: "P-256" }
      : {
          name: "RSASSA-PKCS1-v1_5",
          hash: "SHA-256",
          modulusLength: 2_048,
          publicExponent: new Uint8Array([1, 0, 1]),
        };
  const { privateKey, publicKey } = await webcrypto.subtle.generateKey(how, true, ["sign", "verify"]);
  return [privateKey, publicKey];
}

/** The public half, as a JWKS document has it. */
export async function jwkOf({ kid, algorithm, key }: TokenKey): Promise<webcrypto.JsonWebKey & { kid: string }> {
  const { key_ops: _, ext: __, ...jwk } = await webcrypto.subtle.exportKey("jwk", key);
  return { ...jwk, kid, alg: algorithm, use: "sig" };
}

export const ISSUER = "https://clips.example";
export const AUDIENCE = "clips";
/** When tests begin, in ms since 1970. */
export const START = 1_900_000_000_000;

export interface Setup {
  readonly manager: AuthenticationManager;
  readonly keys: HeldKeys;
  readonly clock: FakeClock;
}

interface Test {
  teardown(end: () => Promise<unknown>): unknown;
}

/** A manager that runs, with one key `k1`. */
export async function setup(
  t: Test,
  options: Partial<AuthenticationOptions> = {},
  algorithm: "HS256" | "ES256" = "HS256",
): Promise<Setup> {
  const keys = new HeldKeys();
  await keys.add("k1", algorithm);
  const clock = new FakeClock(0, START);
  const whole = { issuer: ISSUER, audience: AUDIENCE, keys, ...options };
  const manager = await new AuthenticationManager(whole, { clock }).start();
  t.teardown(() => manager.stop());
  return { manager, keys, clock };
}

/** Instances of one service, over one store of refresh tokens. */
export interface Instances {
  readonly all: readonly AuthenticationManager[];
  readonly clients: readonly Authentication[];
  readonly clock: FakeClock;
}

/** Instances with refresh tokens, which share keys, store and clock. */
export async function instances(
  t: Test,
  count: number,
  refresh: Partial<RefreshOptions> = {},
  options: Partial<AuthenticationOptions> = {},
): Promise<Instances> {
  const keys = new HeldKeys();
  await keys.add("k1", "HS256");
  const clock = new FakeClock(0, START);
  const whole = { store: memoryFamilies({ clock }), mac: testTokenMac(), ...refresh };
  const all = Array.from(
    { length: count },
    () =>
      new AuthenticationManager({ issuer: ISSUER, audience: AUDIENCE, keys, refresh: whole, ...options }, { clock }),
  );
  for (const manager of all) {
    await manager.start();
    t.teardown(() => manager.stop());
  }
  return { all, clients: all.map(({ client }) => client), clock };
}

/** One of a list that is known to be there. */
export function at<T>(list: readonly T[], index: number): T {
  const found = list[index % list.length];
  if (found === undefined) throw new RangeError("the list is empty");
  return found;
}

/** What a good token says. */
export function claims(nowMs = START): Record<string, unknown> {
  const iat = Math.floor(nowMs / 1_000);
  return { iss: ISSUER, aud: AUDIENCE, sub: "ada", scope: "read", iat, exp: iat + 600, jti: "1" };
}

/** A token that is signed as it should be, whatever it says. */
export async function signed(
  { kid, algorithm, key }: TokenKey,
  payload: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const whole = { alg: algorithm, typ: "at+jwt", kid, ...header };
  const defined = Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined));
  return new SignJWT({ ...payload }).setProtectedHeader(defined as unknown as JWTHeaderParameters).sign(key); // `alg` is in it
}

/** A token of parts as they are, signed with HMAC: what no library would make. */
export async function raw(key: webcrypto.CryptoKey, header: string, payload: string): Promise<string> {
  const text = `${Buffer.from(header).toString("base64url")}.${Buffer.from(payload).toString("base64url")}`;
  const signature = await webcrypto.subtle.sign("HMAC", key, Buffer.from(text));
  return `${text}.${Buffer.from(signature).toString("base64url")}`;
}

/** A broker in this process, which may be away. */
export class TestBus implements PubSub {
  readonly #listeners = new Map<string, Set<(message: string) => void>>();
  readonly #gaps = new Set<() => void>();
  #delivering: Promise<void> = Promise.resolve();
  isAway = false;

  /** Subscriptions. */
  get size(): number {
    return [...this.#listeners.values()].reduce((sum, { size }) => sum + size, 0);
  }

  publish: PubSub["publish"] = async (topic, message) => {
    if (this.isAway) throw new Error("the broker is away");
    const listeners = [...(this.#listeners.get(topic) ?? [])];
    this.#delivering = this.#delivering.then(() => listeners.forEach((listener) => listener(message)));
  };

  subscribe: PubSub["subscribe"] = async (topic, listener) => {
    if (this.isAway) throw new Error("the broker is away");
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners.add(listener));
    return async () => void listeners.delete(listener);
  };

  onGap: NonNullable<PubSub["onGap"]> = (listener) => {
    this.#gaps.add(listener);
    return () => void this.#gaps.delete(listener);
  };

  gap(): void {
    for (const listener of this.#gaps) listener();
  }

  /** What was published has arrived. */
  idle(): Promise<void> {
    return this.#delivering;
  }
}
