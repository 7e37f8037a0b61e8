import { createCipheriv, createHash, randomBytes, type Hash } from "node:crypto";
import type { Clock, Guard, StewardError } from "@steward/core";
import { nearest } from "@steward/core/driver";
import { cryptoError } from "../errors.ts";
import type { PasswordHasher } from "../passwords/hasher.ts";
import type { Data } from "../suites/encoding/bytes.ts";
import { ALGORITHMS, type Purpose } from "../suites/catalog.ts";
import { digest, digester } from "../suites/digest.ts";
import type { BackendName, Engine, HashName } from "../suites/engines/engine.ts";
import type { WorkerPool } from "../suites/workers/pool.ts";
import { AeadKeyset } from "./use/aead-keyset.ts";
import { KeysetControl } from "./control.ts";
import type { Keyset } from "./keyset.ts";
import { HybridKeyset, MacKeyset, SignatureKeyset } from "./use/signing-keysets.ts";
import { StreamKeyset } from "./use/stream-keyset.ts";
import { TokenKeyset } from "./use/token-keyset.ts";
import { KeysetUse, type UseParts } from "./use/use.ts";

/** What the backend is and what the processor does for it. */
export interface BackendInfo {
  readonly backend: BackendName;
  readonly node: string;
  readonly openssl: string;
  /** Measured now, in a millisecond or so: what AES-256-GCM and SHA-256 get through on this machine, in MB per CPU second. */
  readonly aesMegabytesPerSecond: number;
  readonly shaMegabytesPerSecond: number;
  /** True when AES is so fast that only instructions for it explain that. */
  readonly hardwareAes: boolean;
}

/** What {@link CryptoBackend} is made of. */
export interface CryptoBackendParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly engine: Engine;
  readonly keysets: ReadonlyMap<string, Keyset>;
  readonly guard: Guard;
  readonly workers: WorkerPool;
  readonly maxSyncBytes: number;
  readonly passwords: PasswordHasher;
  readonly refusal: () => StewardError | undefined;
}

interface Users {
  readonly aead: AeadKeyset;
  readonly stream: StreamKeyset;
  readonly hybrid: HybridKeyset;
  readonly mac: MacKeyset;
  readonly signature: SignatureKeyset;
  readonly token: TokenKeyset;
}

const MAKERS: { readonly [P in Purpose]: (parts: UseParts) => Users[P] } = {
  aead: (parts) => new AeadKeyset(new KeysetUse(parts, "aead")),
  stream: (parts) => new StreamKeyset(new KeysetUse(parts, "stream")),
  hybrid: (parts) => new HybridKeyset(new KeysetUse(parts, "hybrid")),
  mac: (parts) => new MacKeyset(new KeysetUse(parts, "mac")),
  signature: (parts) => new SignatureKeyset(new KeysetUse(parts, "signature")),
  token: (parts) => new TokenKeyset(new KeysetUse(parts, "token")),
};

/** What users of a crypto resource are handed: its keysets by name, passwords and digests. */
export class CryptoBackend {
  readonly #parts: CryptoBackendParts;
  readonly #users = new Map<string, Users[Purpose]>();
  /** Password hashing. */
  readonly passwords: PasswordHasher;

  /** @internal */
  constructor(parts: CryptoBackendParts) {
    this.#parts = parts;
    this.passwords = parts.passwords;
  }

  /**
   * A keyset for authenticated encryption.
   * @throws {CRYPTO_KEYSET_UNKNOWN} when there is none of that name.
   * @throws {CRYPTO_KEYSET_MISUSED} when it is for something else.
   */
  aead(name: string): AeadKeyset {
    return this.#user(name, "aead");
  }

  /** A keyset for streams and files. Throws as {@link aead} does. */
  stream(name: string): StreamKeyset {
    return this.#user(name, "stream");
  }

  /** A keyset for RSA encryption. Throws as {@link aead} does. */
  hybrid(name: string): HybridKeyset {
    return this.#user(name, "hybrid");
  }

  /** A keyset for HMAC. Throws as {@link aead} does. */
  mac(name: string): MacKeyset {
    return this.#user(name, "mac");
  }

  /** A keyset for signatures. Throws as {@link aead} does. */
  signature(name: string): SignatureKeyset {
    return this.#user(name, "signature");
  }

  /** A keyset for JSON web tokens: hand it to what makes and verifies them. Throws as {@link aead} does. */
  token(name: string): TokenKeyset {
    return this.#user(name, "token");
  }

  /** Changes the keys of a keyset: rotate, disable, destroy, import. */
  keys(name: string): KeysetControl {
    return new KeysetControl(this.#keyset(name), this.#parts.clock, this.#parts.refusal);
  }

  /** Names of all keysets. */
  get names(): readonly string[] {
    return [...this.#parts.keysets.keys()];
  }

  /** The SHA-2 digest of data of any size. */
  digest(hash: HashName, data: Data): Promise<Buffer> {
    return digest(hash, data);
  }

  /** A SHA-2 digest to be fed bit by bit: Node's own `Hash`, which is a stream too. */
  digester(hash: HashName): Hash {
    return digester(hash);
  }

  /** What the backend is, and what the processor really does for it. */
  info(): BackendInfo {
    const { engine } = this.#parts;
    const aes = megabytesPerSecond(engine, (sample) => encryptSample(engine, sample));
    const sha = megabytesPerSecond(engine, (sample) => createHash("sha256").update(sample).digest());
    const versions = { node: process.version, openssl: process.versions.openssl ?? "none" };
    const speeds = { aesMegabytesPerSecond: aes, shaMegabytesPerSecond: sha, hardwareAes: aes >= 500 };
    return Object.freeze({ backend: engine.name, ...versions, ...speeds });
  }

  #keyset(name: string): Keyset {
    const keyset = this.#parts.keysets.get(name);
    if (keyset !== undefined) return keyset;
    const near = nearest(String(name), this.names);
    const hint = near === undefined ? `known: ${this.names.join(", ") || "none"}` : `did you mean "${near}"?`;
    throw cryptoError("CRYPTO_KEYSET_UNKNOWN", `${this.#parts.resource}: there is no keyset "${name}"; ${hint}`, {
      resource: this.#parts.resource,
    });
  }

  #user<P extends Purpose>(name: string, purpose: P): Users[P] {
    const keyset = this.#keyset(name);
    const actual = ALGORITHMS[keyset.policy.algorithm].purpose;
    if (actual !== purpose)
      throw cryptoError(
        "CRYPTO_KEYSET_MISUSED",
        `${this.#parts.resource}: keyset "${name}" (${keyset.policy.algorithm}) is for ${actual}: use client.${actual}("${name}")`,
      );
    const { resource, engine, guard, workers, maxSyncBytes, refusal } = this.#parts;
    const user =
      this.#users.get(name) ?? MAKERS[purpose]({ resource, keyset, engine, guard, workers, maxSyncBytes, refusal });
    this.#users.set(name, user);
    return user as Users[P]; // its purpose was checked above
  }
}

const SAMPLE_BYTES = 256 * 1024;

function encryptSample(engine: Engine, sample: Uint8Array): void {
  const key = randomBytes(32);
  if (engine.name === "native") createCipheriv("aes-256-gcm", key, randomBytes(12)).update(sample);
  else engine.gcmEncryption(key, randomBytes(12), new Uint8Array(0)).update(sample);
}

function megabytesPerSecond(engine: Engine, work: (sample: Uint8Array) => unknown): number {
  const sample = Buffer.alloc(engine.name === "native" ? SAMPLE_BYTES : SAMPLE_BYTES / 16);
  work(sample);
  let best = 0;
  for (let i = 0; i < 4; i++) {
    const before = process.cpuUsage();
    work(sample);
    const { user, system } = process.cpuUsage(before);
    best = Math.max(best, sample.length / Math.max(1, user + system));
  }
  return Math.round(best);
}
