import type { SecretKeys } from "./keys.ts";
import { mayHoldSecrets } from "./text.ts";

const MAX_DEPTH = 5;
const MAX_ENTRIES = 100;
const MAX_VALUES = 500;

/** Names and texts mostly stand in the code, but may come from callers, so no more than these are remembered. */
const MAX_KNOWN = 1_000;

/**
 * Says of what is logged whether it may be written as it stands, which most of it may: then nothing has to be copied.
 * It says so of plain data alone, without a name or a text that could stand for a secret, and of a bounded size.
 */
export class PlainCheck {
  readonly #keys: SecretKeys;
  readonly #known = new Map<string, boolean>();
  /** Texts of lines; `undefined` once there were so many that they cannot be those of the code. */
  #texts: Map<string, boolean> | undefined = new Map();
  #left = 0;

  constructor(keys: SecretKeys) {
    this.#keys = keys;
  }

  /** Never throws. */
  line(given: readonly unknown[]): boolean {
    this.#left = MAX_VALUES;
    try {
      for (let i = 0; i < given.length; i += 1) {
        const value = given[i];
        if (!(typeof value === "string" ? this.#isPlainText(value) : this.#value(value, 0))) return false;
      }
      return true;
    } catch {
      return false; // a getter or a proxy that throws
    }
  }

  #value(value: unknown, depth: number): boolean {
    switch (typeof value) {
      case "string":
        return !mayHoldSecrets(value);
      case "number":
      case "boolean":
      case "undefined":
        return true;
      case "object":
        return value === null || this.#reference(value, depth);
      default:
        return false;
    }
  }

  #reference(value: object, depth: number): boolean {
    if (depth > MAX_DEPTH) return false;
    if (Array.isArray(value)) return this.#list(value, depth);
    const prototype: unknown = Object.getPrototypeOf(value);
    return (prototype === Object.prototype || prototype === null) && this.#object(value, depth);
  }

  #list(list: readonly unknown[], depth: number): boolean {
    if (list.length > MAX_ENTRIES || (this.#left -= list.length) < 0) return false;
    for (let i = 0; i < list.length; i += 1) if (!this.#value(list[i], depth + 1)) return false;
    return true;
  }

  #object(value: object, depth: number): boolean {
    let left = MAX_ENTRIES;
    for (const key in value) {
      if (left-- === 0 || this.#left-- === 0 || !this.#isPlainName(key)) return false;
      if (!this.#value((value as Readonly<Record<string, unknown>>)[key], depth + 1)) return false; // it has this key
    }
    return true;
  }

  #isPlainText(text: string): boolean {
    const known = this.#texts?.get(text);
    if (known !== undefined) return known;
    const isPlain = !mayHoldSecrets(text);
    if (this.#texts !== undefined && this.#texts.size >= MAX_KNOWN) this.#texts = undefined;
    this.#texts?.set(text, isPlain);
    return isPlain;
  }

  #isPlainName(name: string): boolean {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    const isPlain = name !== "__proto__" && !mayHoldSecrets(name) && !this.#keys.has(name);
    this.#known.set(name, isPlain);
    return isPlain;
  }
}
