import { nearest } from "@steward/core/driver";
import { expectation, type Field, type ListField, type ValueField } from "../schema/field.ts";
import { parseJson } from "../sources/json.ts";
import type { Node, SourceProblem } from "../sources/node.ts";
import { isExact, SyntaxFault } from "../sources/syntax.ts";

/** Settings as plain values for the schema, and what could not be turned into what it expects. */
export interface Coerced {
  readonly value: Record<string, unknown>;
  readonly problems: readonly SourceProblem[];
}

const TRUE = new Set(["true", "1", "yes", "on"]);
const FALSE = new Set(["false", "0", "no", "off"]);
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/** Turns text into what the schema expects at its place: whole numbers stay whole, and `12abc` is none. */
export function coerce(root: Field, node: Node): Coerced {
  const coercion = new Coercion();
  const value = coercion.of(root, node, []);
  return { value: withObjects(root, isRecord(value) ? value : {}), problems: coercion.problems };
}

/** Objects that have to be there are there, though empty: so what is missing is named, and not what it stands in. */
function withObjects(field: Field, value: Record<string, unknown>): Record<string, unknown> {
  if (field.kind !== "object") return value;
  const whole = { ...value };
  for (const [key, inner] of field.entries) {
    const given = whole[key];
    if (inner.kind !== "object" || (given === undefined && inner.optional)) continue;
    if (given === undefined || isRecord(given)) whole[key] = withObjects(inner, given ?? {});
  }
  return whole;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

class Coercion {
  readonly problems: SourceProblem[] = [];

  of(field: Field | undefined, node: Node, keys: readonly string[]): unknown {
    if (node.kind === "list")
      return node.items.map((item, i) => this.of(inside(field, String(i)), item, [...keys, String(i)]));
    if (node.kind === "map")
      return Object.fromEntries(
        [...node.entries].flatMap(([key, inner]) => {
          const value = this.of(inside(field, key), inner, [...keys, key]);
          return value === undefined ? [] : [[key, value]];
        }),
      );
    if (!node.isText || typeof node.value !== "string" || field === undefined) return node.value;
    return this.#text(field, node.value, node.at, keys);
  }

  #text(field: Field, text: string, at: string, keys: readonly string[]): unknown {
    const path = keys.join(".");
    if (field.kind === "value") return this.#value(field, text, at, path);
    const looksLikeJson = /^\s*[[{]/.test(text);
    if (field.kind === "list" && !looksLikeJson) return this.#commas(field, text, at, keys);
    if (field.kind === "opaque" && !looksLikeJson) return text;
    try {
      return this.of(field, parseJson(text, at), keys);
    } catch (error) {
      if (!(error instanceof SyntaxFault)) throw error;
      this.#add(path, `must be JSON: ${error.message}`, at);
      return undefined;
    }
  }

  #commas({ item }: ListField, text: string, at: string, keys: readonly string[]): unknown {
    const parts = text.split(",").flatMap((part) => (part.trim() === "" ? [] : [part.trim()]));
    return parts.map((part, index) => this.#text(item, part, at, [...keys, String(index)]));
  }

  #value(field: ValueField, text: string, at: string, path: string): unknown {
    const { types, words } = field;
    if (words?.includes(text) === true && types.includes("string")) return text;
    const trimmed = text.trim();
    if (types.includes("number") && NUMBER.test(trimmed)) {
      if (isExact(Number(trimmed))) return Number(trimmed);
      this.#add(path, "is too large a number to be kept exactly", at);
      return undefined;
    }
    const lower = trimmed.toLowerCase();
    if (types.includes("boolean") && (TRUE.has(lower) || FALSE.has(lower))) return TRUE.has(lower);
    if (words === undefined && types.some((type) => type !== "number" && type !== "boolean")) return text;
    this.#add(path, `expected ${expectation(field)}, received other text${this.#hint(field, trimmed)}`, at);
    return undefined;
  }

  #hint({ words, types }: ValueField, text: string): string {
    const near = nearest(
      text,
      words ?? (types.includes("boolean") ? [...TRUE, ...FALSE].filter((w) => w.length > 1) : []),
    );
    if (near !== undefined) return `; did you mean "${near}"?`;
    return types.includes("number") && /^\s*\d/.test(text) ? "; digits alone, without a unit or spaces" : "";
  }

  #add(path: string, message: string, source: string): void {
    this.problems.push({ path, message, source });
  }
}

function inside(field: Field | undefined, key: string): Field | undefined {
  if (field?.kind === "object") return field.entries.get(key);
  return field?.kind === "list" ? field.item : field?.kind === "record" ? field.value : undefined;
}
