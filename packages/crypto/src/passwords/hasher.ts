import { randomBytes, timingSafeEqual } from "node:crypto";
import { Guard, type Clock, type GuardStats, type StewardError } from "@steward/core";
import { cryptoError } from "../errors.ts";
import { formatHash, parseHash } from "./phc.ts";
import { derive, memoryOf, nodeArgon2id, type Argon2idFunction, type PasswordParameters } from "./schemes.ts";

const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** Argon2id where this Node or the options have it: 64 MiB, 3 passes. */
export const DEFAULT_ARGON2ID: PasswordParameters = {
  scheme: "argon2id",
  memoryKiB: 65_536,
  passes: 3,
  parallelism: 1,
};
/** What every Node has: scrypt with N = 2^17, 128 MiB. */
export const DEFAULT_SCRYPT: PasswordParameters = { scheme: "scrypt", logN: 17, blockSize: 8, parallelism: 1 };

/** Checked options of a {@link PasswordHasher}. */
export interface HasherParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly refusal: () => StewardError | undefined;
  readonly parameters: PasswordParameters | undefined;
  readonly argon2id: Argon2idFunction | undefined;
  readonly maxConcurrent: number;
  readonly maxPending: number;
  readonly timeoutMs: number;
  readonly maxPasswordBytes: number;
  readonly maxMemoryBytes: number;
}

/**
 * Hashes passwords, a few at a time: a storm of logins queues here instead of starving files and DNS, which share
 * Node's threads with it.
 */
export class PasswordHasher {
  readonly #parts: HasherParts;
  readonly #guard: Guard;
  readonly #argon2id: Argon2idFunction | undefined;
  #parameters: PasswordParameters;

  /** @internal */
  constructor(parts: HasherParts) {
    const { resource, clock, refusal, maxConcurrent, maxPending, timeoutMs } = parts;
    this.#parts = parts;
    this.#argon2id = parts.argon2id ?? nodeArgon2id;
    this.#parameters = parts.parameters ?? (this.#argon2id === undefined ? DEFAULT_SCRYPT : DEFAULT_ARGON2ID);
    this.#guard = new Guard({
      resource: `${resource} passwords`,
      clock,
      refusal,
      maxConcurrent,
      maxPending,
      timeoutMs,
      holdUntilSettled: true,
    });
  }

  /** What new hashes cost. */
  get parameters(): PasswordParameters {
    return this.#parameters;
  }

  /**
   * A PHC string to be stored.
   *
   * @throws {CRYPTO_PASSWORD_INVALID} when the password is empty or too long.
   * @throws {OVERLOADED} when too many wait already.
   */
  async hash(password: string): Promise<string> {
    const bytes = this.#checked(password);
    const salt = randomBytes(SALT_BYTES);
    const parameters = this.#parameters;
    const hash = await this.#run(bytes, salt, HASH_BYTES, parameters);
    return formatHash({ parameters, salt, hash });
  }

  /**
   * Tells whether the password is the one of the stored hash. Without a stored hash (no such user) it takes as long
   * and says `false`, so that nobody learns which users exist.
   *
   * @throws {CRYPTO_PASSWORD_HASH_INVALID} when the stored hash is not one.
   */
  async verify(password: string, stored: string | undefined): Promise<boolean> {
    const bytes = this.#checked(password);
    if (stored === undefined) {
      await this.#run(bytes, randomBytes(SALT_BYTES), HASH_BYTES, this.#parameters);
      return false;
    }
    const { parameters, salt, hash } = parseHash(stored, this.#parts.maxMemoryBytes);
    return timingSafeEqual(await this.#run(bytes, salt, hash.length, parameters), hash);
  }

  /** True when the stored hash costs less than new ones do, or is of another scheme: hash anew at the next login. */
  needsRehash(stored: string): boolean {
    const { parameters, hash } = parseHash(stored, this.#parts.maxMemoryBytes);
    return hash.length < HASH_BYTES || isWeaker(parameters, this.#parameters);
  }

  /**
   * Raises the cost of new hashes until one takes about `targetMs` (default 250) on this machine, within the memory
   * limit, and never below where it stands. Gives the parameters, to be written into the options.
   */
  async calibrate(options: { readonly targetMs?: number } = {}): Promise<PasswordParameters> {
    const { targetMs = 250 } = options;
    for (let step = 0; step < 12; step++) {
      const next = costlier(this.#parameters);
      if (memoryOf(next) > this.#parts.maxMemoryBytes || (await this.#timed(next)) > targetMs) break;
      this.#parameters = next;
    }
    return this.#parameters;
  }

  /** The numbers of now. */
  stats(): GuardStats {
    return this.#guard.stats();
  }

  /**
   * Waits until no password is being hashed.
   * @internal
   */
  idle(): Promise<void> {
    return this.#guard.idle();
  }

  async #timed(parameters: PasswordParameters): Promise<number> {
    const before = this.#parts.clock.now();
    await this.#run(Buffer.from("calibration"), randomBytes(SALT_BYTES), HASH_BYTES, parameters);
    return this.#parts.clock.now() - before;
  }

  #checked(password: string): Buffer {
    const bytes = Buffer.from(password, "utf8");
    const { maxPasswordBytes } = this.#parts;
    if (bytes.length > 0 && bytes.length <= maxPasswordBytes) return bytes;
    throw cryptoError(
      "CRYPTO_PASSWORD_INVALID",
      `a password has 1 to ${maxPasswordBytes} bytes, this one ${bytes.length}`,
    );
  }

  async #run(
    password: Buffer,
    salt: Uint8Array,
    hashBytes: number,
    parameters: PasswordParameters,
  ): Promise<Uint8Array> {
    try {
      return await this.#guard.run(() => this.#derive(password, salt, hashBytes, parameters));
    } finally {
      password.fill(0);
    }
  }

  #derive(
    password: Uint8Array,
    salt: Uint8Array,
    hashBytes: number,
    parameters: PasswordParameters,
  ): Promise<Uint8Array> {
    if (parameters.scheme !== "argon2id") return derive(password, salt, hashBytes, parameters);
    if (this.#argon2id !== undefined) return this.#argon2id({ password, salt, hashBytes, parameters });
    const text = `this Node (${process.version}) has no Argon2id: it comes with 24.7, or give one as passwords.argon2id`;
    return Promise.reject(cryptoError("CRYPTO_UNSUPPORTED", text));
  }
}

function isWeaker(a: PasswordParameters, b: PasswordParameters): boolean {
  if (a.scheme === "argon2id" && b.scheme === "argon2id")
    return a.memoryKiB < b.memoryKiB || a.passes < b.passes || a.parallelism < b.parallelism;
  if (a.scheme === "scrypt" && b.scheme === "scrypt")
    return a.logN < b.logN || a.blockSize < b.blockSize || a.parallelism < b.parallelism;
  return a.scheme === "pbkdf2-sha256" && b.scheme === "pbkdf2-sha256" ? a.iterations < b.iterations : true;
}

function costlier(parameters: PasswordParameters): PasswordParameters {
  switch (parameters.scheme) {
    case "argon2id":
      return { ...parameters, passes: parameters.passes + 1 };
    case "scrypt":
      return { ...parameters, logN: parameters.logN + 1 };
    case "pbkdf2-sha256":
      return { ...parameters, iterations: Math.ceil(parameters.iterations * 1.25) };
  }
}
