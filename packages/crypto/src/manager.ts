import { Guard } from "@steward/core";
import { checkOptions, Manager, defineDriver, type DriverFactory, type ManagerContext } from "@steward/core/driver";
import { probeKey, selfTest } from "./health.ts";
import { CryptoBackend } from "./keysets/backend.ts";
import { cleartextKek, type Kek } from "./keysets/wrapping/kek.ts";
import { Keyset } from "./keysets/keyset.ts";
import { memoryStore, type KeyStore } from "./keysets/stores/store.ts";
import { cryptoSchema, propagation, type CheckedCryptoOptions, type CryptoOptions } from "./options.ts";
import { PasswordHasher } from "./passwords/hasher.ts";
import type { Engine } from "./suites/engines/engine.ts";
import { nativeEngine } from "./suites/engines/native.ts";
import { portableEngine } from "./suites/engines/portable.ts";
import { WorkerPool } from "./suites/workers/pool.ts";

const NATIVE_SYNC_BYTES = 1024 * 1024;
const PORTABLE_SYNC_BYTES = 64 * 1024;

/**
 * Looks after keysets: loads them from their store, rotates them on time, and follows what other instances do.
 *
 * @example
 * ```ts
 * import { CryptoBackendManager } from "@steward/crypto";
 * const crypto = await new CryptoBackendManager({ keysets: { aes: { algorithm: "aes-256-gcm" } } }).start();
 * const box = crypto.client.aead("aes");
 * const message = await box.encrypt("a secret", { aad: { user: "7" } });
 * console.log((await box.decrypt(message, { aad: { user: "7" } })).toString()); // => a secret
 * await crypto.stop();
 * ```
 */
export class CryptoBackendManager extends Manager<CryptoBackend> {
  readonly client: CryptoBackend;
  readonly #engine: Engine;
  readonly #store: KeyStore;
  readonly #keysets: ReadonlyMap<string, Keyset>;
  readonly #guard: Guard;
  readonly #passwords: PasswordHasher;
  readonly #workers: WorkerPool;
  #unwatch: (() => Promise<void>) | undefined;

  /** @throws {OPTIONS_INVALID} listing every problem of the options. */
  constructor(options: CryptoOptions, context: ManagerContext = {}) {
    super("crypto", context);
    const checked = checkOptions(this.name, cryptoSchema, options);
    const refusal = (): ReturnType<typeof this.unavailable> => this.unavailable();
    this.#engine = engineOf(this.name, checked);
    this.#store = checked.store ?? memoryStore();
    this.#guard = new Guard({ resource: this.name, clock: this.clock, timeoutMs: checked.timeoutMs, refusal });
    this.#workers = new WorkerPool(checked.maxWorkers);
    const { parameters, argon2id, ...limits } = checked.passwords;
    this.#passwords = new PasswordHasher({
      resource: this.name,
      clock: this.clock,
      refusal,
      parameters,
      argon2id,
      ...limits,
    });
    this.#keysets = new Map(Object.entries(checked.keysets).map(([name]) => [name, this.#keyset(name, checked)]));
    this.client = new CryptoBackend({
      resource: this.name,
      clock: this.clock,
      engine: this.#engine,
      keysets: this.#keysets,
      guard: this.#guard,
      workers: this.#workers,
      maxSyncBytes: checked.maxSyncBytes ?? (this.#engine.name === "native" ? NATIVE_SYNC_BYTES : PORTABLE_SYNC_BYTES),
      passwords: this.#passwords,
      refusal,
    });
  }

  #keyset(name: string, checked: CheckedCryptoOptions): Keyset {
    const { algorithm = "aes-256-gcm", rotateEveryMs, retainMs } = checked.keysets[name] ?? {};
    const { refreshEveryMs, messageBlock, messageFormat, propagationMs = propagation(refreshEveryMs) } = checked;
    return new Keyset({
      resource: this.name,
      name,
      policy: { algorithm, rotateEveryMs, retainMs, propagationMs },
      store: this.#store,
      keks: keksOf(checked),
      environment: checked.environment,
      engine: this.#engine,
      clock: this.clock,
      refreshEveryMs,
      messageBlock,
      messageFormat,
    });
  }

  protected async onStart(signal: AbortSignal): Promise<void> {
    selfTest(this.#engine);
    const keysets = [...this.#keysets.values()];
    await Promise.all(keysets.map((keyset) => keyset.open()));
    for (const keyset of keysets) await probeKey(keyset.keyToWrite());
    if (keysets.length === 0 || signal.aborted) return;
    const unwatch = await this.#store.watch?.((name) => this.#keysets.get(name)?.heard());
    if (signal.aborted) await unwatch?.();
    else this.#unwatch = unwatch;
  }

  /** Each keyset reads what it writes. A store that does not answer shows in the stats; the keys in memory go on. */
  protected async onProbe(): Promise<void> {
    for (const keyset of this.#keysets.values()) await probeKey(keyset.keyToWrite());
  }

  protected override async onDrain(): Promise<void> {
    await Promise.all([this.#guard.idle(), this.#passwords.idle()]);
  }

  protected async onStop(signal: AbortSignal): Promise<void> {
    const looking = [...this.#keysets.values()].map((keyset) => keyset.close());
    const unwatch = this.#unwatch;
    this.#unwatch = undefined;
    await Promise.all([this.#workers.stop(), unwatch?.()]);
    // A look at the store that is under way may write, and the code that stops us goes on to take the store away.
    const late = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    if (!signal.aborted) await Promise.race([Promise.all(looking), late]);
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    const ready = this.phase === "ready" || this.phase === "draining";
    return {
      backend: this.#engine.name,
      ...this.#guard.stats(),
      passwords: this.#passwords.stats(),
      workers: this.#workers.size,
      keysets: ready ? Object.fromEntries([...this.#keysets].map(([name, keyset]) => [name, keyset.stats()])) : {},
    };
  }
}

function engineOf(name: string, { backend, enableHardwareAcceleration }: CheckedCryptoOptions): Engine {
  if (!enableHardwareAcceleration)
    process.emitWarning(
      `${name}: enableHardwareAcceleration is false, so the portable backend is used: tens of times slower, and not constant-time`,
      {
        code: "STEWARD_PORTABLE_CRYPTO",
      },
    );
  return backend === "portable" || !enableHardwareAcceleration ? portableEngine : nativeEngine;
}

function keksOf({ kek, insecureCleartext, store }: CheckedCryptoOptions): [Kek, ...Kek[]] {
  const given = kek === undefined ? [] : Array.isArray(kek) ? kek : [kek as Kek]; // what is not the list is the single one
  const cleartext = insecureCleartext || store === undefined || store.private === true ? [cleartextKek] : [];
  const [first = cleartextKek, ...rest] = [...given, ...cleartext];
  return [first, ...rest];
}

/** Defines a crypto resource: its keysets, where they are kept, and how passwords are hashed. */
export const cryptoBackend: DriverFactory<CryptoOptions, CryptoBackend> = defineDriver({
  kind: "crypto",
  schema: cryptoSchema,
  create: (options, context) => new CryptoBackendManager(options, context),
  inherit: ({ environment }) => ({ environment }),
  settings: { readiness: "gate", tags: ["security"] },
});
