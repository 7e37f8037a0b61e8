import { isLoopback } from "@steward/core/driver";
import type { Dispatcher } from "undici";

/** Headers as undici takes them. */
export type GivenHeaders = Dispatcher.DispatchOptions["headers"];
type HeaderRecord = Record<string, string | string[] | undefined>;

/** Headers that every call gets, unless it brings its own. */
export class DefaultHeaders {
  readonly #names: readonly string[];
  readonly #record: Readonly<Record<string, string>>;

  constructor(headers: Readonly<Record<string, string>>, userAgent: string | undefined) {
    const all = { ...headers, ...(userAgent === undefined ? {} : { "user-agent": userAgent }) };
    this.#record = Object.fromEntries(Object.entries(all).map(([name, value]) => [name.toLowerCase(), value]));
    this.#names = Object.keys(this.#record);
  }

  /** The headers of a call, with ours where it has none; the very same object where nothing is to be added. */
  merge(given: GivenHeaders): GivenHeaders {
    if (this.#names.length === 0) return given;
    if (given === null || given === undefined) return this.#record;
    const present = new Set(namesOf(given));
    const missing = this.#names.filter((name) => !present.has(name));
    if (missing.length === 0) return given;
    return add(
      given,
      missing.map((name) => [name, this.#record[name] ?? ""]),
    );
  }
}

/** Whether a call brings a header of its own. */
export function hasHeader(given: GivenHeaders, name: string): boolean {
  return given !== null && given !== undefined && namesOf(given).includes(name);
}

/** Adds headers, in the form that the given ones have: a flat list or a record. */
export function add(given: GivenHeaders, more: readonly (readonly [string, string])[]): GivenHeaders {
  if (Array.isArray(given)) return [...flat(given), ...more.flat()];
  if (given !== null && given !== undefined && isIterable(given))
    return [...[...given].flatMap(([name, value]) => pairs(name, value)), ...more.flat()];
  return { ...(given as HeaderRecord | null | undefined), ...Object.fromEntries(more) } as Record<string, string>; // neither a list nor iterable: a record
}

/** An array may be a flat list or a list of pairs. A name without a value stays, so that undici refuses it. */
function flat(given: readonly unknown[]): string[] {
  if (Array.isArray(given[0]))
    return given.flatMap((item) => (Array.isArray(item) ? pairs(String(item[0]), item[1]) : [String(item)]));
  return given.flatMap((name, i) => {
    if (i % 2 === 1) return [];
    return i + 1 === given.length ? [String(name)] : pairs(String(name), given[i + 1]);
  });
}

function pairs(name: string, value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).flatMap((one) => (one === undefined ? [] : [name, String(one)]));
}

function namesOf(given: NonNullable<GivenHeaders>): string[] {
  if (Array.isArray(given))
    return flat(given)
      .filter((_, i) => i % 2 === 0)
      .map((name) => name.toLowerCase());
  if (isIterable(given)) return [...given].map(([name]) => name.toLowerCase());
  return Object.keys(given).map((name) => name.toLowerCase());
}

function isIterable(value: object): value is Iterable<[string, string | string[] | undefined]> {
  return Symbol.iterator in value;
}

/** Whether what is sent to an `http:` URL passes a network in plain text. */
export function isOverheard(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && !isLoopback(hostname);
}

/** The `content-length` that an answer declares; `undefined` when it declares none. */
export function declaredLength(headers: readonly Buffer[]): number | undefined {
  for (let i = 0; i < headers.length; i += 2)
    if (headers[i]?.length === 14 && headers[i]?.toString("latin1").toLowerCase() === "content-length")
      return Number(headers[i + 1]?.toString("latin1"));
  return undefined;
}
