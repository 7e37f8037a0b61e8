import { randomBytes, timingSafeEqual } from "node:crypto";
import { Guard, type Clock, type GuardStats, type StewardError } from "@steward/core";
import { assertShape, milliseconds, shape } from "@steward/core/driver";
import { cryptoError } from "../errors.ts";
import { kindOf, utf8 } from "../suites/encoding/bytes.ts";
import { formatHash, parseHash, type HashLimits } from "./phc.ts";
import { costOf, derive, memoryOf, nodeArgon2id, type Argon2idFunction, type PasswordParameters } from "./schemes.ts";
import { normalized, spellings } from "./spelling.ts";

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
  readonly maxStoredCost: number;
}

/** How costs are raised. */
export interface CalibrateOptions {
  /** How long one hash may take on this machine, in ms. Default 250. */
  readonly targetMs?: number | undefined;
}

const CALIBRATE = shape<CalibrateOptions>(() => ({ targetMs: milliseconds(0) }));

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
   * A PHC string to be stored. The password is normalised (NFKC) first.
   *
   * @throws {CRYPTO_PASSWORD_INVALID} when the password is not text, empty or too long.
   * @throws {OVERLOADED} when too many wait already.
   */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    const parameters = this.#parameters;
    const bytes = Buffer.from(normalized(this.#checked(password)), "utf8");
    const hash = await this.#run([bytes], (each) => this.#derive(each, salt, HASH_BYTES, parameters));
    return formatHash({ parameters, salt, hash });
  }

  /**
   * True when the password is the one of the stored hash. Without a stored hash (`undefined` or `null`: no such user)
   * it takes as long as a wrong password does and gives `false`, so that nothing shows which users exist.
   *
   * A password that is not ASCII is tried normalised first, then as typed, composed and decomposed, because hashes of
   * earlier versions and other systems are of those. A wrong one takes two to four times as long then.
   *
   * @throws {CRYPTO_PASSWORD_INVALID} when the password is not text, empty or too long.
   * @throws {CRYPTO_PASSWORD_HASH_INVALID} when the stored hash is not one, or asks for too much.
   */
  async verify(password: string, stored: string | null | undefined): Promise<boolean> {
    const candidates = spellings(this.#checked(password));
    const isKnown = stored !== undefined && stored !== null;
    const { parameters, salt, hash } = isKnown ? parseHash(stored, this.#limits) : this.#noUser();
    let found = false;
    await this.#run(candidates, async (each) => {
      const derived = await this.#derive(each, salt, hash.length, parameters);
      found = isKnown && timingSafeEqual(derived, hash);
      return found ? derived : undefined;
    });
    return found;
  }

  /** What a user who does not exist is compared with: a hash that costs what new ones do. */
  #noUser(): { parameters: PasswordParameters; salt: Uint8Array; hash: Uint8Array } {
    return { parameters: this.#parameters, salt: randomBytes(SALT_BYTES), hash: Buffer.alloc(HASH_BYTES) };
  }

  get #limits(): HashLimits {
    const { maxMemoryBytes, maxStoredCost } = this.#parts;
    return { maxMemoryBytes, maxCost: maxStoredCost * Math.max(costOf(DEFAULT_SCRYPT), costOf(this.#parameters)) };
  }

  /** True when the stored hash costs less than new ones do, or is of another scheme: hash anew at the next login. */
  needsRehash(stored: string): boolean {
    const { parameters, hash } = parseHash(stored, this.#limits);
    return hash.length < HASH_BYTES || isWeaker(parameters, this.#parameters);
  }

  /**
   * Raises the cost of new hashes until one takes about `targetMs` (default 250) on this machine, within the memory
   * limit, and never below where it stands. Gives the parameters, to be written into the options.
   */
  async calibrate(options: CalibrateOptions = {}): Promise<PasswordParameters> {
    assertShape(`${this.#parts.resource} passwords`, CALIBRATE, options);
    const { targetMs = 250 } = options;
    for (let step = 0; step < 12; step++) {
      const next = costlier(this.#parameters);
      if (memoryOf(next) > this.#parts.maxMemoryBytes || (await this.#timed(next)) > targetMs) break;
      this.#parameters = next;
    }
    return this.#parameters;
  }

  /** The current numbers. */
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
    const salt = randomBytes(SALT_BYTES);
    await this.#run([Buffer.from("calibration")], (each) => this.#derive(each, salt, HASH_BYTES, parameters));
    return this.#parts.clock.now() - before;
  }

  #checked(password: string): string {
    const { maxPasswordBytes } = this.#parts;
    const why = typeof password === "string" ? this.#problemOf(password) : `this is ${kindOf(password)}`;
    if (why === undefined) return password;
    throw cryptoError("CRYPTO_PASSWORD_INVALID", `a password is text of 1 to ${maxPasswordBytes} bytes; ${why}`);
  }

  #problemOf(password: string): string | undefined {
    const bytes = Buffer.byteLength(password, "utf8");
    if (bytes === 0 || bytes > this.#parts.maxPasswordBytes) return `this one has ${bytes}`;
    return utf8(password) === undefined ? "this one has half a character (a lone surrogate)" : undefined;
  }

  /** Derives from one spelling after another until one gives a result, in one place of the queue; gives the last result. */
  async #run<T extends Uint8Array | undefined>(
    candidates: readonly Buffer[],
    derive: (candidate: Buffer) => Promise<T>,
  ): Promise<T> {
    const work = async (): Promise<T> => {
      let result = await derive(candidates[0] ?? Buffer.alloc(0));
      for (const next of candidates.slice(1)) if (result === undefined) result = await derive(next);
      return result;
    };
    try {
      return await this.#guard.run(work);
    } finally {
      for (const candidate of candidates) candidate.fill(0);
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
