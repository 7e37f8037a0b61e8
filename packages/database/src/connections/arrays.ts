import type { DriverOptions, Parser } from "./driver.ts";

/** Lists the array types of a server with the types of their elements. */
export const ARRAY_TYPES =
  "select typelem::int8 as element, oid::int8 as type from pg_catalog.pg_type where typcategory = 'A' and typelem <> 0";

/** Boxes are separated by semicolons, everything else by commas. */
const BOXES = 1020;

type Serializer = (value: unknown) => unknown;

/**
 * Teaches a connection the array types of its server.
 *
 * The driver would ask for them by itself, but a connection that breaks in this moment then rejects a promise that
 * no code handles, which ends the process.
 */
export function learnArrays(options: DriverOptions, rows: readonly Readonly<Record<string, unknown>>[]): void {
  const { parsers, serializers, shared } = options;
  for (const row of rows) {
    const [element, type] = [Number(row["element"]), Number(row["type"])];
    if (parsers[type] !== undefined && serializers[type] !== undefined) continue;
    const delimiter = type === BOXES ? ";" : ",";
    const parse = parsers[element];
    shared.typeArrayMap[element] = type;
    const parser: Parser = (rest) => parseArray(rest, parse, delimiter);
    parser.array = true;
    parsers[type] = parser;
    serializers[type] = (value) => serializeArray(value, serializers[element], delimiter);
  }
}

/** The values in the text of an array, from behind its first brace. */
export function parseArray(rest: string, parse: Parser | undefined, delimiter: string): unknown[] {
  return new ArrayReader(rest, parse ?? ((text) => text), delimiter).list();
}

class ArrayReader {
  readonly #text: string;
  readonly #parse: Parser;
  readonly #delimiter: string;
  #at = 0;

  constructor(text: string, parse: Parser, delimiter: string) {
    this.#text = text;
    this.#parse = parse;
    this.#delimiter = delimiter;
  }

  list(): unknown[] {
    const values: unknown[] = [];
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) return values;
      if (char === "}" || char === "{" || char === this.#delimiter) this.#at++;
      if (char === "}") return values;
      if (char === "{") values.push(this.list());
      else if (char === '"') values.push(this.#parse(this.#quoted()));
      else if (char !== this.#delimiter) values.push(this.#bare());
    }
  }

  #quoted(): string {
    let text = "";
    for (this.#at++; this.#at < this.#text.length && this.#text[this.#at] !== '"'; this.#at++) {
      if (this.#text[this.#at] === "\\") this.#at++;
      text += this.#text[this.#at] ?? "";
    }
    this.#at++;
    return text;
  }

  #bare(): unknown {
    const start = this.#at;
    while (this.#at < this.#text.length && this.#text[this.#at] !== "}" && this.#text[this.#at] !== this.#delimiter)
      this.#at++;
    const text = this.#text.slice(start, this.#at);
    return text === "NULL" ? null : this.#parse(text);
  }
}

/** The text of an array for the server; what is not an array passes as it is. */
export function serializeArray(value: unknown, serialize: Serializer | undefined, delimiter: string): unknown {
  if (!Array.isArray(value)) return value;
  const texts = value.map((item: unknown) => {
    if (Array.isArray(item)) return serializeArray(item, serialize, delimiter);
    if (item === null) return "null";
    if (item === undefined)
      throw Object.assign(new Error("UNDEFINED_VALUE: Undefined values are not allowed"), { code: "UNDEFINED_VALUE" });
    return `"${String(serialize === undefined ? item : serialize(bare(item))).replace(/[\\"]/g, "\\$&")}"`;
  });
  return `{${texts.join(delimiter)}}`;
}

/** The value of a parameter that was given a type. */
function bare(item: unknown): unknown {
  return typeof item === "object" && item !== null && "type" in item && "value" in item ? item.value : item;
}
