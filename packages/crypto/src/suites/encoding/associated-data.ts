import { types } from "node:util";
import { kindOf, u32, utf8 } from "./bytes.ts";

/**
 * What a message is bound to without carrying it: bytes, text, or pairs such as `{ tenant: "7", column: "token" }`.
 * Pairs are written in the order of their names, each part with its length, so no two sets of pairs are the same bytes.
 * The type is bound too: what was bound to text does not open with the same text as bytes.
 */
export type AssociatedData = Uint8Array | string | Readonly<Record<string, string>>;

/** Associated data, checked and encoded. */
export interface Associated {
  /** 1 bytes, 2 text, 3 pairs. */
  readonly type: 1 | 2 | 3;
  readonly bytes: Uint8Array;
}

/** Associated data encoded, or what is wrong with it. */
export function associated(data: unknown): Associated | string {
  if (types.isUint8Array(data)) return { type: 1, bytes: data };
  if (typeof data === "string") return text(data);
  if (data === undefined)
    return "is undefined: a message would be bound to nothing; leave `aad` out where that is meant";
  return isPlain(data) ? pairs(data) : `expected bytes, text or pairs of text, received ${kindOf(data)}`;
}

const HALF = "has half a character (a lone surrogate), which UTF-8 cannot write";

function text(data: string): Associated | string {
  const bytes = utf8(data);
  return bytes === undefined ? HALF : { type: 2, bytes };
}

function pairs(data: Readonly<Record<string, unknown>>): Associated | string {
  if (Object.getOwnPropertySymbols(data).length > 0) return "has a name that is a symbol";
  const names = Object.keys(data).sort();
  const parts: Uint8Array[] = [u32(names.length)];
  for (const name of names) {
    const value = data[name];
    if (typeof value !== "string") return `has ${kindOf(value)} under "${name.slice(0, 40)}", where text is expected`;
    const [nameBytes, bytes] = [utf8(name), utf8(value)];
    if (nameBytes === undefined || bytes === undefined) return HALF;
    parts.push(u32(nameBytes.length), nameBytes, u32(bytes.length), bytes);
  }
  return { type: 3, bytes: Buffer.concat(parts) };
}

function isPlain(data: unknown): data is Readonly<Record<string, unknown>> {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return false;
  const prototype: unknown = Object.getPrototypeOf(data);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

const TYPES = { 1: Uint8Array.of(1), 2: Uint8Array.of(2), 3: Uint8Array.of(3) } as const;

/**
 * Everything that authenticates with a message besides its body. Format 3 is `header ‖ type ‖ data`, or the header
 * alone where there is no data; format 2, of the first edition, is `header ‖ data`; Tink's is the data.
 */
export function boundTo(header: Uint8Array, data: Associated | undefined): Uint8Array {
  const format = header[0];
  if (format === 3) return data === undefined ? header : Buffer.concat([header, TYPES[data.type], data.bytes]);
  if (format === 2) return data === undefined ? header : Buffer.concat([header, data.bytes]);
  return data === undefined ? NOTHING : data.bytes;
}

const NOTHING = new Uint8Array(0);
