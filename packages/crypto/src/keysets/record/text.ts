import type { KeyObject } from "node:crypto";
import { cryptoError } from "../../errors.ts";
import { decodeBase64, encodeBase64 } from "../../suites/encoding/base64.ts";
import {
  ALGORITHMS,
  exportKey,
  importKey,
  isAlgorithm,
  type AlgorithmName,
  type Purpose,
} from "../../suites/catalog.ts";
import { isMessageFormat } from "../../suites/encoding/header.ts";
import type { KeyRecord, KeysetRecord, KeyState } from "./record.ts";
import { MAX_KEYS, MAX_LIVE_KEYS } from "./transitions.ts";

const STATES: readonly string[] = ["pending", "enabled", "disabled", "destroyed"] satisfies readonly KeyState[];
const PURPOSES: readonly string[] = [
  "aead",
  "stream",
  "hybrid",
  "mac",
  "signature",
  "token",
] satisfies readonly Purpose[];
const TIMES = ["primaryAtMs", "retiredAtMs", "disabledAtMs", "destroyedAtMs", "reserved"] as const;
const MATERIAL = Buffer.from('"material":"', "latin1");
const QUOTE = 0x22;

/**
 * The text of a record, to be wrapped: JSON, with each key as base64 in `material`. Keys are exported here, when they
 * have to be written, and go into the text as bytes that the caller erases; no string ever has one.
 */
export function serializeRecord(record: KeysetRecord): Buffer {
  const { keys, ...rest } = record;
  const head = JSON.stringify({ version: 1, ...rest });
  const parts: Buffer[] = [Buffer.from(`${head.slice(0, -1)},"keys":[`, "utf8")];
  for (const [index, key] of keys.entries()) parts.push(...keyText(key, index > 0));
  parts.push(Buffer.from("]}", "utf8"));
  const text = Buffer.concat(parts);
  for (const part of parts) part.fill(0);
  return text;
}

function keyText({ key, ...rest }: KeyRecord, isNext: boolean): Buffer[] {
  const head = Buffer.from(`${isNext ? "," : ""}${JSON.stringify(rest)}`, "utf8");
  if (key === undefined) return [head];
  const bytes = exportKey(key);
  const material = encodeBase64(bytes);
  bytes.fill(0);
  return [head.subarray(0, -1), Buffer.from(',"material":"', "utf8"), material, Buffer.from('"}', "utf8")];
}

/**
 * A record from its text.
 * @throws {CRYPTO_STORE_INVALID} when it is not one.
 */
export function parseRecord(text: Uint8Array): KeysetRecord {
  const { rest, materials } = withoutMaterials(Buffer.from(text.buffer, text.byteOffset, text.byteLength));
  try {
    return recordOf(parsed(rest), materials);
  } finally {
    for (const material of materials) material?.fill(0);
  }
}

/** Takes the keys out of the text before it becomes a string: in the place of each stands its number. */
function withoutMaterials(text: Buffer): { rest: string; materials: (Buffer | undefined)[] } {
  const rest: Buffer[] = [];
  const materials: (Buffer | undefined)[] = [];
  let at = 0;
  for (let found = text.indexOf(MATERIAL); found >= 0; found = text.indexOf(MATERIAL, at)) {
    const from = found + MATERIAL.length;
    const end = text.indexOf(QUOTE, from);
    if (end < 0) throw notRecord("a key has no end");
    rest.push(text.subarray(at, from - 1), Buffer.from(String(materials.length)));
    materials.push(decodeBase64(text.subarray(from, end)));
    at = end + 1;
  }
  return { rest: Buffer.concat([...rest, text.subarray(at)]).toString("utf8"), materials };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notRecord("not JSON");
  }
}

function recordOf(value: unknown, materials: readonly (Buffer | undefined)[]): KeysetRecord {
  if (!isObject(value) || value["version"] !== 1) throw notRecord("not of version 1");
  const { name, purpose, revision, primary, keys: given, messageFormat } = value;
  if (
    typeof name !== "string" ||
    !isPurpose(purpose) ||
    !isCount(revision) ||
    !isCount(primary) ||
    !Array.isArray(given)
  )
    throw notRecord("fields are missing");
  if (given.length > MAX_KEYS) throw notRecord(`it has ${given.length} keys (at most ${MAX_KEYS})`);
  const format = isMessageFormat(messageFormat) ? { messageFormat } : {};
  const keys = given.map((key) => parseKey(key, purpose, materials));
  const live = keys.filter((key) => key.key !== undefined).length;
  if (live > MAX_LIVE_KEYS) throw notRecord(`it has ${live} keys that are not destroyed (at most ${MAX_LIVE_KEYS})`);
  if (new Set(keys.map((key) => key.id)).size !== keys.length) throw notRecord("two keys have one id");
  if (!keys.some((key) => key.id === primary && key.state === "enabled"))
    throw notRecord("its primary key is not enabled");
  return { name, purpose, revision, primary, keys, ...format };
}

function parseKey(value: unknown, purpose: Purpose, materials: readonly (Buffer | undefined)[]): KeyRecord {
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
  if ((material === undefined) !== (state === "destroyed"))
    throw notRecord("a key has no material, or has it after its destruction");
  const times = Object.fromEntries(TIMES.flatMap((name) => (isCount(value[name]) ? [[name, value[name]]] : [])));
  const key =
    material === undefined ? {} : { key: keyOf(algorithm, isCount(material) ? materials[material] : undefined) };
  return { id, algorithm, state, createdAtMs, ...times, ...key };
}

function keyOf(algorithm: AlgorithmName, material: Buffer | undefined): KeyObject {
  try {
    if (material !== undefined) return importKey(algorithm, material);
  } catch {
    // said below, in the words of a store
  }
  throw notRecord(`a key is not one of ${algorithm}`);
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
