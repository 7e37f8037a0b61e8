import { isDeepStrictEqual } from "node:util";
import { Secret } from "@steward/core";
import { isPlainObject } from "@steward/core/driver";

/** The paths at which two values differ, down to what has no names inside. */
export function changedPaths(before: unknown, after: unknown, keys: readonly string[] = []): string[] {
  if (!isPlainObject(before) || !isPlainObject(after)) return isSame(before, after) ? [] : [keys.join(".")];
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) => changedPaths(before[name], after[name], [...keys, name]));
}

function isSame(a: unknown, b: unknown): boolean {
  if (a instanceof Secret && b instanceof Secret) return a.reveal() === b.reveal();
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => isSame(item, b[i]));
  if (isPlainObject(a) && isPlainObject(b)) return changedPaths(a, b).length === 0;
  return isDeepStrictEqual(a, b);
}

/** Whether one path is another, or lies below it. */
export function isWithin(path: string, outer: string): boolean {
  return path === outer || path.startsWith(`${outer}.`);
}
