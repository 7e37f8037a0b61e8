import { cryptoError } from "../../errors.ts";
import type { MessageFormat } from "../../suites/encoding/header.ts";
import type { KeyRecord, KeysetRecord, KeyState } from "./record.ts";

/** Keys of one keyset that are not destroyed, at most: each is a KeyObject in every instance. */
export const MAX_LIVE_KEYS = 1_000;
/** Keys of one keyset with those of which only the id is left, at most; past that the oldest ids are forgotten. */
export const MAX_KEYS = 10_000;

/** From which states a key may go to a state. Everything else is refused. */
const FROM: Readonly<Record<"enabled" | "disabled" | "destroyed", readonly KeyState[]>> = {
  enabled: ["pending", "disabled", "enabled"],
  disabled: ["pending", "enabled"],
  destroyed: ["disabled"],
};

/** A new keyset: its first key is primary at once, as no instance can have missed it. */
export function withFirstKey(
  name: string,
  purpose: KeysetRecord["purpose"],
  key: KeyRecord,
  nowMs: number,
  messageFormat: MessageFormat,
): KeysetRecord {
  const keys = [{ ...key, state: "enabled", primaryAtMs: nowMs } as const];
  return { name, purpose, revision: 1, primary: key.id, keys, messageFormat };
}

/** All instances read that format, so it is written from now on. */
export function withFormat(record: KeysetRecord, messageFormat: MessageFormat): KeysetRecord {
  return record.messageFormat === messageFormat ? record : { ...record, messageFormat };
}

/** A key more, which reads from now on and writes once it is promoted. */
export function withPending(record: KeysetRecord, key: KeyRecord): KeysetRecord {
  if (record.keys.some((other) => other.id === key.id))
    throw transition(key.id, "be added: the keyset has, or had, a key of that id");
  if (record.keys.filter(({ state }) => state !== "destroyed").length >= MAX_LIVE_KEYS)
    throw transition(
      key.id,
      `be added: the keyset has ${MAX_LIVE_KEYS} keys; destroy those that nothing needs any more`,
    );
  return { ...record, keys: [...withoutOldest(record.keys), key] };
}

function withoutOldest(keys: readonly KeyRecord[]): readonly KeyRecord[] {
  const oldest = keys.length < MAX_KEYS ? -1 : keys.findIndex(({ state }) => state === "destroyed");
  return keys.filter((_, index) => index !== oldest);
}

/** The key writes from now on; the one before it goes on reading. */
export function withPrimary(record: KeysetRecord, id: number, nowMs: number): KeysetRecord {
  const key = allowed(record, id, "enabled", "become primary");
  if (key.state === "disabled") throw transition(id, "become primary while it is disabled; enable it first");
  if (record.primary === id) return record;
  const { retiredAtMs: _, ...fresh } = key;
  const retired = replace(record, record.primary, (old) => ({ ...old, retiredAtMs: nowMs }));
  return { ...replace(retired, id, () => ({ ...fresh, state: "enabled", primaryAtMs: nowMs })), primary: id };
}

/** The key neither reads nor writes until it is enabled again. */
export function withDisabled(record: KeysetRecord, id: number, nowMs: number): KeysetRecord {
  if (record.primary === id) throw transition(id, "be disabled: it is primary; rotate first");
  allowed(record, id, "disabled", "be disabled");
  return replace(record, id, (key) => ({ ...key, state: "disabled", disabledAtMs: nowMs }));
}

/** A disabled key reads again. */
export function withEnabled(record: KeysetRecord, id: number, nowMs: number): KeysetRecord {
  const key = allowed(record, id, "enabled", "be enabled");
  if (key.state === "pending")
    throw transition(id, "be enabled: it is pending, and will be once it has reached everybody");
  if (key.state === "enabled") return record;
  const { disabledAtMs: _, ...rest } = key;
  return replace(record, id, () => ({ ...rest, state: "enabled", retiredAtMs: nowMs }));
}

/** The key is gone for good; its id stays, so that what it wrote gets an honest answer. */
export function withDestroyed(record: KeysetRecord, id: number, nowMs: number): KeysetRecord {
  const { key: _, ...rest } = allowed(record, id, "destroyed", "be destroyed");
  return replace(record, id, () => ({ ...rest, state: "destroyed", destroyedAtMs: nowMs }));
}

/** An instance has set aside messages of a key for itself. */
export function withReserved(record: KeysetRecord, id: number, count: number): KeysetRecord {
  return replace(record, id, (key) => ({ ...key, reserved: (key.reserved ?? 0) + count }));
}

function allowed(record: KeysetRecord, id: number, to: keyof typeof FROM, what: string): KeyRecord {
  const key = record.keys.find((other) => other.id === id);
  if (key === undefined) throw cryptoError("CRYPTO_KEY_UNKNOWN", `keyset "${record.name}" has no key ${shownId(id)}`);
  if (!FROM[to].includes(key.state))
    throw transition(id, `${what}: it is ${key.state}${to === "destroyed" ? "; disable it first" : ""}`);
  return key;
}

function replace(record: KeysetRecord, id: number, change: (key: KeyRecord) => KeyRecord): KeysetRecord {
  return { ...record, keys: record.keys.map((key) => (key.id === id ? change(key) : key)) };
}

function transition(id: number, cannot: string): Error {
  return cryptoError("CRYPTO_KEY_TRANSITION", `key ${shownId(id)} cannot ${cannot}`);
}

/** A key id as people read it. */
export function shownId(id: number): string {
  return id.toString(16).padStart(8, "0");
}
