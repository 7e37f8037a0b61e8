import { isForbidden } from "../schema/names.ts";
import type { ListNode, MapNode, Node } from "./node.ts";
import { isExact, MAX_DEPTH, placeIn, positionOf, SyntaxFault } from "./syntax.ts";

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// oxlint-disable-next-line no-control-regex -- JSON allows none of them in text
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const SPACE = /[ \t\n\r]*/y;
const WORD = /true|false|null/y;
const WORDS: Readonly<Record<string, unknown>> = { true: true, false: false, null: null };

/**
 * Reads JSON, and keeps where each value stands. What is doubtful is refused: names that are there twice, numbers that
 * lose digits, nesting without end.
 * @throws SyntaxFault
 */
export function parseJson(text: string, file: string): Node {
  return new JsonReader(text.replace(/^\uFEFF/, ""), file).whole();
}

class JsonReader {
  readonly #text: string;
  readonly #file: string;
  #offset = 0;
  #depth = 0;
  /** What is known of the place of an offset: places are asked for from left to right. */
  readonly #seen = { offset: 0, line: 1, lineStart: 0 };

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  whole(): Node {
    const node = this.#value();
    this.#space();
    if (this.#offset < this.#text.length) throw this.#fault("there is something behind the end of the JSON");
    return node;
  }

  #value(): Node {
    this.#space();
    const at = this.#place();
    const first = this.#text[this.#offset];
    if (first === "{") return this.#nested(() => this.#object(at));
    if (first === "[") return this.#nested(() => this.#list(at));
    if (first === '"') return { kind: "value", at, value: this.#string(), isText: false };
    const word = this.#match(WORD);
    if (word !== undefined) return { kind: "value", at, value: WORDS[word], isText: false };
    return { kind: "value", at, value: this.#number(), isText: false };
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw this.#fault(`objects and lists are nested more than ${MAX_DEPTH} deep`);
    this.#offset++;
    const node = read();
    this.#depth--;
    return node;
  }

  #object(at: string): MapNode {
    const entries = new Map<string, Node>();
    while (!this.#ends("}", entries.size > 0)) {
      const start = this.#offset;
      if (this.#text[start] !== '"') throw this.#fault('a name in double quotes is missing, or a "," is too much');
      const key = this.#string();
      if (isForbidden(key)) throw this.#fault(`"${key}" is no name for a setting`, start);
      if (entries.has(key)) throw this.#fault("this name is there twice", start);
      this.#space();
      if (this.#text[this.#offset++] !== ":") throw this.#fault('a ":" is missing here', this.#offset - 1);
      entries.set(key, this.#value());
    }
    return { kind: "map", at, entries };
  }

  #list(at: string): ListNode {
    const items: Node[] = [];
    while (!this.#ends("]", items.length > 0)) items.push(this.#value());
    return { kind: "list", at, items };
  }

  /** Steps over the closing bracket, or over the comma before the next one. */
  #ends(close: string, hasSome: boolean): boolean {
    this.#space();
    if (this.#text[this.#offset] === close) {
      this.#offset++;
      return true;
    }
    if (hasSome && this.#text[this.#offset++] !== ",")
      throw this.#fault(`a "," or "${close}" is missing here`, this.#offset - 1);
    this.#space();
    return false;
  }

  #string(): string {
    const found = this.#match(STRING);
    if (found === undefined)
      throw this.#fault('text does not end, or has a character or "\\" in it that JSON does not allow');
    return JSON.parse(found) as string; // it is one
  }

  #number(): number {
    const start = this.#offset;
    const found = this.#match(NUMBER);
    if (found === undefined)
      throw this.#fault(
        "a value is missing here, or is none of JSON: is it without quotes, a comment, or a comma too much?",
      );
    if (!isExact(Number(found)))
      throw this.#fault("this number is too large to be kept exactly; write it in quotes", start);
    return Number(found);
  }

  #space(): void {
    this.#match(SPACE);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset;
    const [found] = pattern.exec(this.#text) ?? [];
    if (found !== undefined) this.#offset += found.length;
    return found;
  }

  #place(): string {
    const seen = this.#seen;
    for (; seen.offset < this.#offset; seen.offset += 1)
      if (this.#text[seen.offset] === "\n") [seen.line, seen.lineStart] = [seen.line + 1, seen.offset + 1];
    return placeIn(this.#file, { line: seen.line, column: this.#offset - seen.lineStart + 1 });
  }

  #fault(message: string, offset = this.#offset): SyntaxFault {
    return new SyntaxFault(message, positionOf(this.#text, offset));
  }
}
