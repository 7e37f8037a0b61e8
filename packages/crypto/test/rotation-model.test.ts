import { isStewardError } from "@steward/core";
import { FakeClock, rounds } from "@steward/testing";
import t from "tap";
import { CryptoBackendManager, keyKek, memoryStore, type KeyStore } from "../src/index.ts";
import { unwrapRecord } from "../src/keysets/wrapping/blob.ts";
import type { KeyState } from "../src/keysets/record/record.ts";

const WORLDS = rounds(40);
const MINUTE = 60_000;
const DAY = 86_400_000;
const kek = keyKek({ key: Buffer.alloc(32, 9) });

/** A small generator, so that a failing run can be repeated by its seed. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x6d2b_79f5) | 0;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
}

interface Instance {
  manager: CryptoBackendManager;
  alive: boolean;
  cut: boolean;
  /** Since when it reaches the store without a break. */
  connectedAt: number;
}

interface Written {
  readonly message: Buffer;
  readonly text: string;
  readonly keyId: number;
}

const TYPED = new Set([
  "CRYPTO_KEY_UNKNOWN",
  "CRYPTO_KEY_DISABLED",
  "CRYPTO_KEY_DESTROYED",
  "CRYPTO_STORE_UNAVAILABLE",
]);

/** Three instances, one store, and a world that turns, breaks and heals at random. */
class World {
  readonly clock = new FakeClock();
  readonly instances: Instance[] = [];
  readonly written: Written[] = [];
  readonly counts: Record<string, number> = {};
  readonly #enabledAt = new Map<number, number>();
  readonly #store: KeyStore;
  readonly #random: (below: number) => number;

  constructor(store: KeyStore, seed: number) {
    this.#store = store;
    this.#random = randomFrom(seed);
  }

  async begin(): Promise<void> {
    for (let i = 0; i < 3; i++) {
      const instance: Instance = {
        manager: undefined as unknown as CryptoBackendManager,
        alive: false,
        cut: false,
        connectedAt: 0,
      }; // made in the next line
      instance.manager = this.#make(instance);
      this.instances.push(instance);
      await this.clock.runUntil(instance.manager.start());
      instance.alive = true;
    }
  }

  #make(instance: Instance): CryptoBackendManager {
    const guard = async <T>(work: () => Promise<T>): Promise<T> => {
      if (instance.cut) throw new Error("no route to store");
      return work();
    };
    const store: KeyStore = {
      kind: "shared",
      load: (name) => guard(() => this.#store.load(name)),
      compareAndSet: (name, expected, next) => guard(() => this.#store.compareAndSet(name, expected, next)),
    };
    const keysets = { box: { algorithm: "aes-256-gcm", rotateEveryMs: DAY / 2 } } as const;
    return new CryptoBackendManager(
      { store, kek, keysets, refreshEveryMs: 5 * MINUTE, propagationMs: 15 * MINUTE },
      { clock: this.clock },
    );
  }

  async states(): Promise<Map<number, KeyState>> {
    const stored = await this.#store.load("box");
    if (stored === undefined) throw new Error("the store is empty");
    const record = await unwrapRecord("box", stored.revision, stored.blob, [kek]);
    return new Map(record.keys.map((key) => [key.id, key.state]));
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.#random(list.length)];
  }

  async step(): Promise<void> {
    const instance = this.#pick(this.instances);
    const action = this.#pick(ACTIONS);
    if (instance === undefined || action === undefined) return;
    const chosen = instance.alive || action === "wait" ? action : instance.cut ? "partition" : "crash";
    this.counts[chosen] = (this.counts[chosen] ?? 0) + 1;
    await this[chosen](instance);
  }

  async write({ manager, alive }: Instance): Promise<void> {
    if (!alive) return;
    const text = `message ${this.written.length}`;
    const message = manager.client.aead("box").encryptSync(text);
    this.written.push({ message, text, keyId: message.readUInt32BE(2) });
  }

  async read(instance: Instance): Promise<void> {
    const written = this.#random(2) === 0 ? this.written.at(-1) : this.#pick(this.written);
    if (written !== undefined) await this.check(instance, written);
  }

  /** The property: what the store calls readable is read by everyone who reaches the store. */
  async check(instance: Instance, { message, text, keyId }: Written): Promise<void> {
    if (!instance.alive) return;
    const state = (await this.states()).get(keyId);
    for (const each of this.instances) this.#checkWithoutLook(each, { message, text, keyId }, state);
    const answer = await this.#attempt(instance, message);
    if (answer === text) return;
    if (!TYPED.has(answer)) throw new Error(`an answer that is neither the text nor a typed error: ${answer}`);
    if (instance.cut || (state !== "enabled" && state !== "pending")) return;
    // The store is asked about unknown keys once a second.
    await this.clock.advance(1_100);
    const again = await this.#attempt(instance, message);
    if (again !== text) throw new Error(`key ${keyId} is ${state}, and yet: ${again}`);
  }

  /** Who has been in touch for two looks has every key before anyone writes with it, and need not ask. */
  #checkWithoutLook(instance: Instance, { message, text, keyId }: Written, state: KeyState | undefined): void {
    const since = Math.max(instance.connectedAt, this.#enabledAt.get(keyId) ?? 0);
    if (
      instance.cut ||
      !instance.alive ||
      this.clock.now() - since < 12 * MINUTE ||
      (state !== "enabled" && state !== "pending")
    )
      return;
    this.counts["readWithoutLook"] = (this.counts["readWithoutLook"] ?? 0) + 1;
    if (instance.manager.client.aead("box").decryptSync(message).toString() !== text)
      throw new Error("not what was written");
  }

  async #attempt({ manager }: Instance, message: Buffer): Promise<string> {
    const reading = manager.client.aead("box").decrypt(message);
    return this.clock.runUntil(
      reading.then(String, (error: unknown) => (isStewardError(error) ? error.code : `untyped ${String(error)}`)),
    );
  }

  async rotate({ manager, alive }: Instance): Promise<void> {
    if (alive) await this.#try(manager.client.keys("box").rotate());
  }

  async disable({ manager, alive }: Instance): Promise<void> {
    if (!alive) return;
    const keys = manager.client.keys("box");
    const key = this.#pick(keys.info().keys.filter((each) => each.state === "enabled" && !each.primary));
    if (key !== undefined) await this.#try(keys.disable(key.id));
  }

  async enable({ manager, alive }: Instance): Promise<void> {
    if (!alive) return;
    const keys = manager.client.keys("box");
    const key = this.#pick(keys.info().keys.filter((each) => each.state === "disabled"));
    if (key === undefined) return;
    await this.#try(keys.enable(key.id));
    this.#enabledAt.set(key.id, this.clock.now());
  }

  async destroy({ manager, alive }: Instance): Promise<void> {
    if (!alive) return;
    const keys = manager.client.keys("box");
    const key = this.#pick(keys.info().keys.filter((each) => each.state === "disabled"));
    if (key !== undefined && this.#random(4) === 0) await this.#try(keys.destroy(key.id));
  }

  async crash(instance: Instance): Promise<void> {
    if (instance.alive) {
      instance.alive = false;
      await this.clock.runUntil(instance.manager.stop());
    } else {
      instance.manager = this.#make(instance);
      instance.connectedAt = this.clock.now();
      instance.alive = await this.#try(instance.manager.start());
    }
  }

  async partition(instance: Instance): Promise<void> {
    instance.cut = !instance.cut;
    instance.connectedAt = this.clock.now();
  }

  async wait(): Promise<void> {
    await this.clock.advance(this.#random(3) === 0 ? this.#random(4 * 60 * MINUTE) : this.#random(10 * MINUTE));
  }

  /** Changes may be refused, but only with an error of ours. */
  async #try(work: Promise<unknown>): Promise<boolean> {
    const failure: unknown = await this.clock.runUntil(
      work.then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    if (failure !== undefined && !isStewardError(failure)) throw failure;
    return failure === undefined;
  }

  async end(): Promise<void> {
    for (const instance of this.instances) if (instance.cut) await this.partition(instance);
    for (const instance of this.instances) if (!instance.alive) await this.crash(instance);
    await this.clock.advance(13 * MINUTE);
    for (const instance of this.instances) for (const written of this.written) await this.check(instance, written);
    for (const { manager } of this.instances) await this.clock.runUntil(manager.stop());
    if (this.clock.pending > 0) throw new Error(`${this.clock.pending} timers are left`);
  }
}

const ACTIONS = [
  "write",
  "write",
  "write",
  "write",
  "read",
  "read",
  "read",
  "read",
  "rotate",
  "disable",
  "enable",
  "destroy",
  "crash",
  "partition",
  "wait",
  "wait",
] as const;

async function run(store: KeyStore, seed: number, steps: number): Promise<World> {
  const world = new World(store, seed);
  try {
    await world.begin();
    for (let i = 0; i < steps; i++) await world.step();
    await world.end();
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  }
  return world;
}

t.test("what one instance wrote, all can read until its key is disabled or destroyed, whatever happens", async (t) => {
  const totals: Record<string, number> = {};
  let messages = 0;
  for (let seed = 1; seed <= WORLDS; seed++) {
    const world = await run(memoryStore(), seed, 250);
    messages += world.written.length;
    for (const [action, count] of Object.entries(world.counts)) totals[action] = (totals[action] ?? 0) + count;
  }
  t.ok(messages > WORLDS * 25);
  t.comment(`${WORLDS} worlds, ${messages} messages, ${JSON.stringify(totals)}`);
});
