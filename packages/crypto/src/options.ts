import {
  countSchema as count,
  environmentSchema,
  functionSchema,
  givenSchema as given,
  hasMethods,
  msSchema,
} from "@steward/core/driver";
import * as v from "valibot";
import type { Kek } from "./keysets/wrapping/kek.ts";
import type { KeyStore } from "./keysets/stores/store.ts";
import type { Argon2idFunction, PasswordParameters } from "./passwords/schemes.ts";
import { ALGORITHM_NAMES, type AlgorithmName } from "./suites/catalog.ts";
import type { BackendName } from "./suites/engines/engine.ts";
import { NEWEST_FORMAT, type MessageFormat } from "./suites/encoding/header.ts";

/** Options of one keyset. */
export interface KeysetOptions {
  /** What its keys do. One that is changed within its purpose takes over with the next key. */
  readonly algorithm: AlgorithmName;
  /** Age of the primary key at which the next one takes over, in ms. Default: rotated only when asked. */
  readonly rotateEveryMs?: number | undefined;
  /** How long a retired key still reads before it is disabled and then destroyed, in ms. Default: for ever. */
  readonly retainMs?: number | undefined;
}

/** Options of password hashing. */
export interface PasswordOptions {
  /** Cost of new hashes. Default: Argon2id (64 MiB, 3 passes) where there is one, else scrypt (N = 2^17). */
  readonly parameters?: PasswordParameters | undefined;
  /** Argon2id for Nodes without it, such as one made of `hashRaw` of `@node-rs/argon2`. Default: Node's own, from 24.7 on. */
  readonly argon2id?: Argon2idFunction | undefined;
  /** Hashes at once. Default: half of Node's threads (`UV_THREADPOOL_SIZE`, 4 where unset). */
  readonly maxConcurrent?: number | undefined;
  /** Hashes that may wait. Default 256. */
  readonly maxPending?: number | undefined;
  /** Longest hash, time in the queue included, in ms. Default 60,000. */
  readonly timeoutMs?: number | undefined;
  /** Longest password, in bytes of UTF-8. Default 1,024. */
  readonly maxPasswordBytes?: number | undefined;
  /** Most memory that a stored hash may ask for, in bytes. Default 256 MiB. */
  readonly maxMemoryBytes?: number | undefined;
  /**
   * How much dearer a stored hash may be than scrypt's default (N = 2^17), or than `parameters` where those are dearer
   * still. Default 5: about 1.5 s of a core. A dearer one is refused before any work.
   */
  readonly maxStoredCost?: number | undefined;
  /** True allows parameters below what OWASP asks for. Default `false`. */
  readonly allowWeak?: boolean | undefined;
}

/** Options of a {@link CryptoBackendManager}. */
export interface CryptoOptions {
  /** Keysets by name. Default: none, for hashing alone. */
  readonly keysets?: Readonly<Record<string, KeysetOptions>> | undefined;
  /** Where keysets are kept. Default: in memory, gone with the process. */
  readonly store?: KeyStore | undefined;
  /** Wraps what is stored; of several the first wraps and all unwrap. Needed for every store that others can reach. */
  readonly kek?: Kek | readonly Kek[] | undefined;
  /**
   * Where this runs, such as `production`: keysets that are made or written are bound to it, and fail to open in another.
   * Default: none is bound, and the bound ones open.
   */
  readonly environment?: string | undefined;
  /** True stores keys as they are. Default `false`. */
  readonly insecureCleartext?: boolean | undefined;
  /** `native` (default) is OpenSSL, `portable` is JavaScript: slow, for tests and hosts without OpenSSL. */
  readonly backend?: BackendName | undefined;
  /** `false` selects the portable backend, with a warning. Default `true`; `info()` says what the CPU really does. */
  readonly enableHardwareAcceleration?: boolean | undefined;
  /** Longest time between two looks at the store, in ms. Default 60,000. */
  readonly refreshEveryMs?: number | undefined;
  /** How long a new key is only read with before it writes, in ms. Default: twice `refreshEveryMs`, at least 60,000. */
  readonly propagationMs?: number | undefined;
  /** Messages set aside at once under keys that count them (`aes-256-gcm-plain`, `-tink`). Default 1,048,576. */
  readonly messageBlock?: number | undefined;
  /**
   * Format of the messages of keysets that are made anew. Default 3, which binds the type of associated data; 2 where
   * instances of the first edition have to read them. Keysets that exist keep theirs until `upgradeFormat()`.
   */
  readonly messageFormat?: MessageFormat | undefined;
  /** Largest input of a method ending in `Sync`, in bytes. Default 1 MiB, 64 KiB for the portable backend. */
  readonly maxSyncBytes?: number | undefined;
  /** Threads for large buffers that are given away (`transfer`). Default 1. */
  readonly maxWorkers?: number | undefined;
  /** Deadline of one operation that does not end at once (RSA, large input), in ms. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Password hashing. */
  readonly passwords?: PasswordOptions | undefined;
}

const DAY_MS = 86_400_000;
const MAX_MS = 3_650 * DAY_MS;

const ms = (least: number): v.GenericSchema<unknown, number> => msSchema(least, MAX_MS);

const name = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, "a keyset's name has letters, digits, - and _, at most 64"),
);

const keyset = v.strictObject({
  algorithm: v.picklist(ALGORITHM_NAMES),
  rotateEveryMs: v.optional(ms(1_000)),
  retainMs: v.optional(ms(0)),
});

const parameters = v.variant("scheme", [
  v.strictObject({
    scheme: v.literal("argon2id"),
    memoryKiB: count(8, 4_194_304),
    passes: count(1, 64),
    parallelism: count(1, 16),
  }),
  v.strictObject({
    scheme: v.literal("scrypt"),
    logN: count(10, 24),
    blockSize: count(1, 32),
    parallelism: count(1, 16),
  }),
  v.strictObject({ scheme: v.literal("pbkdf2-sha256"), iterations: count(1_000, 20_000_000) }),
]);

/** The floors of OWASP's password storage cheat sheet. */
function isStrong(given: PasswordParameters): boolean {
  switch (given.scheme) {
    case "argon2id":
      return given.memoryKiB >= 47_104 || (given.memoryKiB >= 19_456 && given.passes >= 2);
    case "scrypt":
      return given.logN >= 17 && given.blockSize >= 8;
    case "pbkdf2-sha256":
      return given.iterations >= 600_000;
  }
}

const THREADS = Number(process.env["UV_THREADPOOL_SIZE"]) || 4;

const passwords = v.pipe(
  v.strictObject({
    parameters: v.optional(parameters),
    argon2id: v.optional(functionSchema<Argon2idFunction>()),
    maxConcurrent: v.optional(count(1, 1_024), Math.max(1, Math.floor(THREADS / 2))),
    maxPending: v.optional(count(0, 1_000_000), 256),
    timeoutMs: v.optional(ms(1), 60_000),
    maxPasswordBytes: v.optional(count(8, 65_536), 1_024),
    maxMemoryBytes: v.optional(count(1_048_576, 4_294_967_296), 256 * 1024 * 1024),
    maxStoredCost: v.optional(count(1, 1_000), 5),
    allowWeak: v.optional(v.boolean(), false),
  }),
  v.forward(
    v.check(
      (given) => given.allowWeak || given.parameters === undefined || isStrong(given.parameters),
      "is weaker than OWASP asks for (argon2id 19 MiB and 2 passes, scrypt logN 17, PBKDF2 600,000 iterations); raise it, or set allowWeak",
    ),
    ["parameters"],
  ),
);

const KEK_MESSAGE = "made by keyKek or passphraseKek, or have id, wrap and unwrap; or be a list of such";

function isKek(value: unknown): boolean {
  return hasMethods(value, "wrap", "unwrap") && typeof (value as Kek).id === "string"; // looked at only
}

const store = given<KeyStore>(
  (value) => hasMethods(value, "load", "compareAndSet"),
  "made by memoryStore, fileStore, sqlStore or redisStore",
);

/** What the options of a crypto resource must be. */
export const cryptoSchema = v.pipe(
  v.strictObject({
    keysets: v.optional(v.record(name, keyset), {}),
    store: v.optional(store),
    kek: v.optional(
      given<Kek | readonly Kek[]>(
        (value) => (Array.isArray(value) ? value.length > 0 && value.every(isKek) : isKek(value)),
        KEK_MESSAGE,
      ),
    ),
    environment: v.optional(environmentSchema()),
    insecureCleartext: v.optional(v.boolean(), false),
    backend: v.optional(v.picklist(["native", "portable"])),
    enableHardwareAcceleration: v.optional(v.boolean(), true),
    refreshEveryMs: v.optional(ms(100), 60_000),
    propagationMs: v.optional(ms(0)),
    messageBlock: v.optional(count(2, 2 ** 30), 2 ** 20),
    messageFormat: v.optional(v.picklist([2, 3]), NEWEST_FORMAT),
    maxSyncBytes: v.optional(count(0, 2 ** 31)),
    maxWorkers: v.optional(count(1, 64), 1),
    timeoutMs: v.optional(ms(1), 30_000),
    passwords: v.optional(passwords, {}),
  }),
  v.forward(
    v.check(
      (given) =>
        given.kek !== undefined || given.insecureCleartext || given.store === undefined || given.store.private === true,
      "is missing: a store that others can reach needs a key-encryption key (keyKek, passphraseKek, or a KMS), or insecureCleartext",
    ),
    ["kek"],
  ),
  v.forward(
    v.check(
      (given) => given.enableHardwareAcceleration || given.backend !== "native",
      "false contradicts backend: native",
    ),
    ["enableHardwareAcceleration"],
  ),
  v.forward(
    v.check(
      (given) =>
        Object.values(given.keysets).every(
          (each) =>
            each.rotateEveryMs === undefined ||
            each.rotateEveryMs > (given.propagationMs ?? propagation(given.refreshEveryMs)),
        ),
      "has a rotateEveryMs that is not longer than propagationMs, which a new key waits before it writes",
    ),
    ["keysets"],
  ),
) satisfies v.GenericSchema<unknown, CheckedCryptoOptions> as v.GenericSchema<unknown, CheckedCryptoOptions>; // the type without its pipes

/** The default of `propagationMs`. */
export function propagation(refreshEveryMs: number): number {
  return Math.max(2 * refreshEveryMs, 60_000);
}

/** Options with their defaults. */
export interface CheckedCryptoOptions {
  readonly keysets: Readonly<
    Record<
      string,
      {
        readonly algorithm: AlgorithmName;
        readonly rotateEveryMs?: number | undefined;
        readonly retainMs?: number | undefined;
      }
    >
  >;
  readonly store?: KeyStore | undefined;
  readonly kek?: Kek | readonly Kek[] | undefined;
  readonly environment?: string | undefined;
  readonly insecureCleartext: boolean;
  readonly backend?: BackendName | undefined;
  readonly enableHardwareAcceleration: boolean;
  readonly refreshEveryMs: number;
  readonly propagationMs?: number | undefined;
  readonly messageBlock: number;
  readonly messageFormat: MessageFormat;
  readonly maxSyncBytes?: number | undefined;
  readonly maxWorkers: number;
  readonly timeoutMs: number;
  readonly passwords: {
    readonly parameters?: PasswordParameters | undefined;
    readonly argon2id?: Argon2idFunction | undefined;
    readonly maxConcurrent: number;
    readonly maxPending: number;
    readonly timeoutMs: number;
    readonly maxPasswordBytes: number;
    readonly maxMemoryBytes: number;
    readonly maxStoredCost: number;
    readonly allowWeak: boolean;
  };
}
