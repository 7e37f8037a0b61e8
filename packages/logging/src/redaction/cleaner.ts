import { Secret } from "@steward/core";
import type { SecretKeys } from "./keys.ts";
import { messageOf } from "./message.ts";
import { PlainCheck } from "./plain.ts";
import { maskText, MASK } from "./text.ts";

const MAX_DEPTH = 5;
const MAX_ENTRIES = 100;
/** Most values of one line: a driver's object may lead to everything it knows. */
const MAX_VALUES = 2_000;

const MORE = "[more]";
/** A getter or a proxy that throws. */
const UNREADABLE = "[unreadable]";

/** Never throws, as `instanceof` does for a proxy that was revoked. */
export function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}

type Fields = Record<string, unknown>;

interface Walk {
  left: number;
}

/** Makes of what is logged what may be written: plain data, without secrets, of a bounded size. */
export class Cleaner {
  readonly #keys: SecretKeys;
  readonly #plain: PlainCheck;

  constructor(keys: SecretKeys) {
    this.#keys = keys;
    this.#plain = new PlainCheck(keys);
  }

  /** Whether all that is given may be written as it stands. Never throws. */
  isClean(given: readonly unknown[]): boolean {
    return this.#plain.line(given);
  }

  text(text: string): string {
    return maskText(text, this.#keys);
  }

  /** One value. Never throws. */
  value(value: unknown): unknown {
    return this.#value(value, 0, { left: MAX_VALUES });
  }

  /** The fields of a line; those that `keep` names stay as they are. Never throws. */
  fields(given: object, keep: (key: string) => boolean = () => false): Fields {
    try {
      return this.#fields(given, keep);
    } catch {
      return { fields: UNREADABLE };
    }
  }

  #fields(given: object, keep: (key: string) => boolean): Fields {
    const walk = { left: MAX_VALUES };
    if (given instanceof Error) return { err: this.#error(given, 0, walk) };
    if (isRequest(given)) return { req: this.#value(given, 0, walk) };
    if (isResponse(given)) return { res: this.#value(given, 0, walk) };
    return this.#object(given, 0, walk, (key, value) => keep(key) && !isError(value));
  }

  #value(value: unknown, depth: number, walk: Walk): unknown {
    if (typeof value === "string") return this.text(value);
    if (typeof value === "bigint") return String(value);
    if (typeof value === "function" || typeof value === "symbol") return undefined;
    if (typeof value !== "object" || value === null) return value;
    if (depth > MAX_DEPTH || walk.left-- <= 0) return MORE;
    try {
      return this.#reference(value, depth, walk);
    } catch {
      return UNREADABLE;
    }
  }

  #reference(value: object, depth: number, walk: Walk): unknown {
    if (value instanceof Secret) return MASK;
    if (value instanceof Error) return this.#error(value, depth, walk);
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (Array.isArray(value)) return this.#list(value, depth, walk);
    if (isRequest(value)) return { method: value.method, url: this.#value(value.url, depth, walk) };
    if (isResponse(value)) return { statusCode: this.#value(Reflect.get(value, "statusCode"), depth, walk) };
    const toJson: unknown = Reflect.get(value, "toJSON");
    if (typeof toJson === "function") return this.#value(Reflect.apply(toJson, value, [""]), depth + 1, walk);
    return this.#object(value, depth, walk);
  }

  #list(list: readonly unknown[], depth: number, walk: Walk): unknown[] {
    const shown = list.slice(0, MAX_ENTRIES).map((one) => this.#value(one, depth + 1, walk));
    return list.length > MAX_ENTRIES ? [...shown, MORE] : shown;
  }

  #object(value: object, depth: number, walk: Walk, keep?: (key: string, value: unknown) => boolean): Fields {
    const fields: Fields = {};
    let left = MAX_ENTRIES;
    for (const key of Object.keys(value)) {
      if (left-- === 0) break;
      if (key === "__proto__") continue; // as a field it would be the prototype of the others
      const isSecret = this.#keys.has(key);
      const one = isSecret ? MASK : read(value, key);
      const kept = !isSecret && keep?.(key, one) === true;
      fields[this.text(key)] = kept ? one : this.#value(one, depth + 1, walk);
    }
    return fields;
  }

  /** What core and all drivers say of an error in the same fields; all others of it belong to its driver. */
  #error(error: Error, depth: number, walk: Walk): Fields {
    const cause = read(error, "cause");
    const several = error instanceof AggregateError ? read(error, "errors") : undefined;
    const deeper = (value: unknown): unknown =>
      depth >= MAX_DEPTH || walk.left-- <= 0 ? MORE : this.#value(value, depth + 1, walk);
    return {
      type: this.#short(error, "name"),
      code: this.#short(error, "code"),
      resource: this.#short(error, "resource"),
      message: this.text(messageOf(error)),
      retryAfterMs: this.#short(error, "retryAfterMs"),
      stack: this.#frames(error),
      ...(cause === undefined ? {} : { cause: deeper(cause) }),
      ...(several === undefined ? {} : { errors: deeper(several) }),
    };
  }

  #short(error: Error, key: string): unknown {
    const value = read(error, key);
    if (typeof value === "number") return value;
    return typeof value === "string" ? this.text(value) : undefined;
  }

  /** Where it was made. Its first lines repeat the message, so only the frames are taken. */
  #frames(error: Error): string | undefined {
    const stack = read(error, "stack");
    if (typeof stack !== "string") return undefined;
    const frames = stack.split("\n").filter((line) => /^ {4}at .*(?::\d+:\d+\)?|\(<anonymous>\))$/.test(line));
    return frames.length === 0 ? undefined : this.text(frames.join("\n"));
  }
}

function read(value: object, key: string): unknown {
  try {
    return Reflect.get(value, key);
  } catch {
    return "[unreadable]";
  }
}

/** A request of Node, or of a library that calls its parts the same. */
function isRequest(value: object): value is { readonly method: unknown; readonly url: unknown } {
  return "method" in value && "headers" in value && "socket" in value;
}

function isResponse(value: object): boolean {
  return typeof read(value, "setHeader") === "function";
}
