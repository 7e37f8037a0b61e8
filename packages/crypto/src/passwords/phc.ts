import { cryptoError } from "../errors.ts";
import { kindOf } from "../suites/encoding/bytes.ts";
import { costOf, memoryOf, type PasswordParameters } from "./schemes.ts";

/** A stored password hash, taken apart. */
export interface StoredHash {
  readonly parameters: PasswordParameters;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

const BASE64 = /^[A-Za-z0-9+/]+$/;
const ARGON2ID = /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$([^$]+)\$([^$]+)$/;
const SCRYPT = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([^$]+)\$([^$]+)$/;
const PBKDF2 = /^\$pbkdf2-sha256\$i=(\d{1,9})\$([^$]+)\$([^$]+)$/;
const MAX_TEXT = 512;
const MAX_ITERATIONS = 20_000_000;

/** Writes a hash as a PHC string. */
export function formatHash({ parameters, salt, hash }: StoredHash): string {
  return `$${head(parameters)}$${base64(salt)}$${base64(hash)}`;
}

function head(parameters: PasswordParameters): string {
  switch (parameters.scheme) {
    case "argon2id":
      return `argon2id$v=19$m=${parameters.memoryKiB},t=${parameters.passes},p=${parameters.parallelism}`;
    case "scrypt":
      return `scrypt$ln=${parameters.logN},r=${parameters.blockSize},p=${parameters.parallelism}`;
    case "pbkdf2-sha256":
      return `pbkdf2-sha256$i=${parameters.iterations}`;
  }
}

/** What a stored hash may ask for. */
export interface HashLimits {
  /** Memory of one hash, in bytes. */
  readonly maxMemoryBytes: number;
  /** Work of one hash, as {@link costOf} estimates it. */
  readonly maxCost: number;
}

/**
 * Takes a PHC string apart. What it asks for is bounded, because it may come from a database that others write to.
 * @throws {CRYPTO_PASSWORD_HASH_INVALID} when it is none, or asks for too much.
 */
export function parseHash(text: string, limits: HashLimits): StoredHash {
  if (typeof text !== "string") throw invalid(`it is ${kindOf(text)}, not text`);
  const stored = text.length <= MAX_TEXT ? (argon2id(text) ?? scrypt(text) ?? pbkdf2(text)) : undefined;
  if (stored === undefined) throw invalid("it is not a PHC string of argon2id, scrypt or pbkdf2-sha256");
  const { salt, hash } = stored;
  if (salt.length < 8 || salt.length > 64 || hash.length < 16 || hash.length > 64)
    throw invalid("its salt or hash has an unusual length");
  const { maxMemoryBytes, maxCost } = limits;
  if (!sensible(stored.parameters, maxMemoryBytes))
    throw invalid(`its costs are zero, or more than allowed (memory at most ${maxMemoryBytes} bytes)`);
  const cost = costOf(stored.parameters);
  if (cost > maxCost)
    throw invalid(
      `it would take about ${Math.round(cost)} ms of a core, and at most ${Math.round(maxCost)} are allowed; if it is yours, raise maxStoredCost`,
    );
  return stored;
}

function argon2id(text: string): StoredHash | undefined {
  const [, memory, passes, parallelism, salt, hash] = ARGON2ID.exec(text) ?? [];
  return built(
    { scheme: "argon2id", memoryKiB: Number(memory), passes: Number(passes), parallelism: Number(parallelism) },
    salt,
    hash,
  );
}

function scrypt(text: string): StoredHash | undefined {
  const [, logN, blockSize, parallelism, salt, hash] = SCRYPT.exec(text) ?? [];
  return built(
    { scheme: "scrypt", logN: Number(logN), blockSize: Number(blockSize), parallelism: Number(parallelism) },
    salt,
    hash,
  );
}

function pbkdf2(text: string): StoredHash | undefined {
  const [, iterations, salt, hash] = PBKDF2.exec(text) ?? [];
  return built({ scheme: "pbkdf2-sha256", iterations: Number(iterations) }, salt, hash);
}

function built(
  parameters: PasswordParameters,
  salt: string | undefined,
  hash: string | undefined,
): StoredHash | undefined {
  const saltBytes = decoded(salt);
  const hashBytes = decoded(hash);
  return saltBytes && hashBytes && { parameters, salt: saltBytes, hash: hashBytes };
}

function sensible(parameters: PasswordParameters, maxMemoryBytes: number): boolean {
  if (memoryOf(parameters) > maxMemoryBytes) return false;
  switch (parameters.scheme) {
    case "argon2id":
      return (
        between(parameters.passes, 1, 64) &&
        between(parameters.parallelism, 1, 16) &&
        parameters.memoryKiB >= 8 * parameters.parallelism
      );
    case "scrypt":
      return (
        between(parameters.logN, 1, 24) &&
        between(parameters.blockSize, 1, 32) &&
        between(parameters.parallelism, 1, 16)
      );
    case "pbkdf2-sha256":
      return between(parameters.iterations, 1, MAX_ITERATIONS);
  }
}

function between(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64").replace(/=+$/, "");
}

function decoded(text: string | undefined): Uint8Array | undefined {
  if (text === undefined || !BASE64.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  return base64(bytes) === text ? bytes : undefined;
}

function invalid(why: string): Error {
  return cryptoError("CRYPTO_PASSWORD_HASH_INVALID", `the stored password hash cannot be used: ${why}`);
}
