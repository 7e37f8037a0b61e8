import * as crypto from "node:crypto";

/** A way to turn a password into a hash. */
export type PasswordScheme = "argon2id" | "scrypt" | "pbkdf2-sha256";

/** Parameters of Argon2id. */
export interface Argon2idParameters {
  readonly scheme: "argon2id";
  /** Memory, in KiB. */
  readonly memoryKiB: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** Parameters of scrypt. Memory is `128 * 2^logN * blockSize` bytes. */
export interface ScryptParameters {
  readonly scheme: "scrypt";
  /** Logarithm of the cost N. */
  readonly logN: number;
  readonly blockSize: number;
  readonly parallelism: number;
}

/** Parameters of PBKDF2 with HMAC-SHA-256. */
export interface Pbkdf2Parameters {
  readonly scheme: "pbkdf2-sha256";
  readonly iterations: number;
}

/** What a password hash costs. */
export type PasswordParameters = Argon2idParameters | ScryptParameters | Pbkdf2Parameters;

/** Computes Argon2id somewhere else than in Node, for Nodes that lack it. Gives the raw hash. */
export type Argon2idFunction = (input: {
  readonly password: Uint8Array;
  readonly salt: Uint8Array;
  readonly hashBytes: number;
  readonly parameters: Argon2idParameters;
}) => Promise<Uint8Array>;

interface NodeArgon2 {
  readonly argon2: (
    algorithm: "argon2id",
    parameters: {
      message: Uint8Array;
      nonce: Uint8Array;
      parallelism: number;
      tagLength: number;
      memory: number;
      passes: number;
    },
    callback: (error: Error | null, hash: Uint8Array) => void,
  ) => void;
}

/** Argon2id of Node itself (24.7 and later), or `undefined`. */
export const nodeArgon2id: Argon2idFunction | undefined = nativeArgon2id();

function nativeArgon2id(): Argon2idFunction | undefined {
  const { argon2 } = crypto as Partial<NodeArgon2>; // newer than the oldest types that we compile against
  if (argon2 === undefined) return undefined;
  return ({ password, salt, hashBytes, parameters: { memoryKiB, passes, parallelism } }) =>
    new Promise((resolve, reject) => {
      const input = { message: password, nonce: salt, parallelism, tagLength: hashBytes, memory: memoryKiB, passes };
      argon2("argon2id", input, (error, hash) => (error === null ? resolve(hash) : reject(error)));
    });
}

/** Bytes of memory that one hash with these parameters takes. */
export function memoryOf(parameters: PasswordParameters): number {
  if (parameters.scheme === "argon2id") return parameters.memoryKiB * 1024;
  return parameters.scheme === "scrypt" ? 128 * 2 ** parameters.logN * parameters.blockSize : 0;
}

const MIB = 2 ** 20;

/**
 * About how long one hash with these parameters takes, in ms of one core of a server: measured on one machine, and
 * right enough everywhere to compare hashes of different schemes.
 */
export function costOf(parameters: PasswordParameters): number {
  switch (parameters.scheme) {
    case "argon2id":
      return 0.85 * (memoryOf(parameters) / MIB) * parameters.passes;
    case "scrypt":
      return 2.3 * (memoryOf(parameters) / MIB) * parameters.parallelism;
    case "pbkdf2-sha256":
      return parameters.iterations / 5_700;
  }
}

/** The hash of a password, off the main thread. */
export function derive(
  password: Uint8Array,
  salt: Uint8Array,
  hashBytes: number,
  parameters: Exclude<PasswordParameters, Argon2idParameters>,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, hash: Uint8Array): void => (error === null ? resolve(hash) : reject(error));
    if (parameters.scheme === "pbkdf2-sha256")
      return crypto.pbkdf2(password, salt, parameters.iterations, hashBytes, "sha256", done);
    const { logN, blockSize, parallelism } = parameters;
    const maxmem = memoryOf(parameters) * 2 + 32 * 1024 * 1024;
    crypto.scrypt(password, salt, hashBytes, { N: 2 ** logN, r: blockSize, p: parallelism, maxmem }, done);
  });
}
