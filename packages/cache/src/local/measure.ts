import { isPlainObject } from "@steward/core/driver";

const LEAST = 16;
const OF_NUMBER = 8;
const OF_OBJECT = 32;

/**
 * About how many bytes of memory a value takes. Text counts with one byte a character, as the engine keeps most of it.
 * What was seen before counts once.
 */
export function bytesOf(value: unknown): number {
  const seen = new Set<object>();
  const rest: unknown[] = [value];
  let bytes = 0;
  while (rest.length > 0) {
    const next = rest.pop();
    bytes += next !== null && typeof next === "object" ? ofObject(next, seen, rest) : ofPrimitive(next);
  }
  return bytes;
}

function ofPrimitive(value: unknown): number {
  if (typeof value === "string") return LEAST + value.length;
  if (typeof value === "bigint") return LEAST + OF_NUMBER;
  return OF_NUMBER;
}

function ofObject(value: object, seen: Set<object>, rest: unknown[]): number {
  if (seen.has(value)) return OF_NUMBER;
  seen.add(value);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return OF_OBJECT + value.byteLength;
  if (value instanceof Map) for (const pair of value) rest.push(...pair);
  else if (value instanceof Set) for (const one of value) rest.push(one);
  let bytes = OF_OBJECT;
  const isList = Array.isArray(value);
  for (const [key, one] of Object.entries(value)) {
    rest.push(one);
    bytes += isList ? 0 : OF_NUMBER + key.length;
  }
  return bytes;
}

/** Freezes plain objects and lists, at any depth, and gives the same value. What has a class of its own stays as it is. */
export function deepFreeze<T>(value: T): T {
  const rest: unknown[] = [value];
  while (rest.length > 0) {
    const next = rest.pop();
    if (!(Array.isArray(next) || isPlainObject(next)) || Object.isFrozen(next)) continue;
    Object.freeze(next);
    for (const one of Object.values(next)) rest.push(one);
  }
  return value;
}
