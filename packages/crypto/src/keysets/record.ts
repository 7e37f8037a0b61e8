import { cryptoError } from "../errors.ts";
import { ALGORITHMS, isAlgorithm, type AlgorithmName, type Purpose } from "../suites/catalog.ts";

/**
 * Where a key is in its life. `pending` keys are known but write nothing yet; `enabled` ones read, and the primary
 * one writes; `disabled` ones do nothing until enabled again; of a `destroyed` one only the id is left.
 */
export type KeyState = "pending" | "enabled" | "disabled" | "destroyed";

/** One key as it is stored. Times are ms since 1970. */
export interface KeyRecord {
  readonly id: number;
  readonly algorithm: AlgorithmName;
  readonly state: KeyState;
  readonly createdAtMs: number;
  /** When it became primary last. */
  readonly primaryAtMs?: number;
  /** When another key took its place as primary. */
  readonly retiredAtMs?: number;
  readonly disabledAtMs?: number;
  readonly destroyedAtMs?: number;
  /** Messages that instances have reserved for themselves, where the algorithm counts them. */
  readonly reserved?: number;
  /** Base64 of the key; gone once destroyed. */
  readonly material?: string;
}

/** A keyset as it is stored, at one revision. */
export interface KeysetRecord {
  readonly name: string;
  readonly purpose: Purpose;
  readonly revision: number;
  /** Id of the key that writes. */
  readonly primary: number;
  readonly keys: readonly KeyRecord[];
}

const STATES: readonly string[] = ["pending", "enabled", "disabled", "destroyed"] satisfies readonly KeyState[];
const PURPOSES: readonly string[] = ["aead", "stream", "hybrid", "mac", "signature"] satisfies readonly Purpose[];
const TIMES = ["primaryAtMs", "retiredAtMs", "disabledAtMs", "destroyedAtMs", "reserved"] as const;

/** The text of a record, to be wrapped. */
export function serializeRecord(record: KeysetRecord): Buffer {
  return Buffer.from(JSON.stringify({ version: 1, ...record }), "utf8");
}

/**
 * A record from its text.
 * @throws {CRYPTO_STORE_INVALID} when it is not one.
 */
export function parseRecord(text: Uint8Array): KeysetRecord {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text).toString("utf8"));
  } catch {
    throw notRecord("not JSON");
  }
  if (!isObject(value) || value["version"] !== 1) throw notRecord("not of version 1");
  const { name, purpose, revision, primary, keys } = value;
  if (
    typeof name !== "string" ||
    !isPurpose(purpose) ||
    !isCount(revision) ||
    !isCount(primary) ||
    !Array.isArray(keys)
  )
    throw notRecord("fields are missing");
  const record = { name, purpose, revision, primary, keys: keys.map((key) => parseKey(key, purpose)) };
  const ids = new Set(record.keys.map((key) => key.id));
  if (ids.size !== keys.length) throw notRecord("two keys have one id");
  if (!record.keys.some((key) => key.id === primary && key.state === "enabled"))
    throw notRecord("its primary key is not enabled");
  return record;
}

function parseKey(value: unknown, purpose: Purpose): KeyRecord {
  if (!isObject(value)) throw notRecord("a key is not an object");
  const { id, algorithm, state, createdAtMs, material } = value;
  if (
    !isCount(id) ||
    id === 0 ||
    id > 0xffff_ffff ||
    !isAlgorithm(algorithm) ||
    !isState(state) ||
    !isCount(createdAtMs)
  )
    throw notRecord("a key lacks fields");
  if (ALGORITHMS[algorithm].purpose !== purpose) throw notRecord("a key is for another purpose");
  if ((typeof material !== "string") !== (state === "destroyed"))
    throw notRecord("a key has no material, or has it after its destruction");
  const times = Object.fromEntries(TIMES.flatMap((name) => (isCount(value[name]) ? [[name, value[name]]] : [])));
  return { id, algorithm, state, createdAtMs, ...times, ...(typeof material === "string" ? { material } : {}) };
}

function notRecord(why: string): Error {
  return cryptoError("CRYPTO_STORE_INVALID", `what the key store holds is not a keyset: ${why}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isState(value: unknown): value is KeyState {
  return typeof value === "string" && STATES.includes(value);
}

function isPurpose(value: unknown): value is Purpose {
  return typeof value === "string" && PURPOSES.includes(value);
}
