import type * as Yaml from "yaml";
import { isForbidden } from "../schema/names.ts";
import type { MapNode, Node } from "./node.ts";
import { isExact, MAX_DEPTH, placeIn, positionOf, SyntaxFault, type Position } from "./syntax.ts";

/** Most values of a file, those that aliases repeat included. */
const MAX_VALUES = 10_000;
/** Most words and signs of a file: the library takes 20 us for one, and minutes for a megabyte of some. */
const MAX_LEXEMES: number = 12 * MAX_VALUES;
/** What the lexer puts in besides the text: the begin of a document, of a scalar, the end of a flow. */
const CONTROLS = "\u0002\u0018\u001f";

/** The library's texts quote the file, so its codes are put in words here. */
const FAULTS: Readonly<Record<string, string>> = {
  ALIAS_PROPS: "an alias cannot have a tag or an anchor",
  BAD_ALIAS: "an alias or an anchor is wrong here",
  BAD_COLLECTION_TYPE: "a tag does not fit what it stands before",
  BAD_DIRECTIVE: "a directive (%) is wrong",
  BAD_DQ_ESCAPE: 'a "\\" in double quotes is wrong; single quotes need none',
  BAD_INDENT: "the indentation does not fit what is above",
  BAD_PROP_ORDER: "an anchor or a tag stands in the wrong place",
  BAD_SCALAR_START: "a value cannot begin like this; put it in quotes",
  BLOCK_AS_IMPLICIT_KEY:
    "a name and a value are on one line with another; is a value without quotes, or a line too far left?",
  BLOCK_IN_FLOW: "an indented block cannot stand inside of { } or [ ]",
  DUPLICATE_KEY: "this name is there twice",
  IMPOSSIBLE: "this cannot be read as YAML",
  KEY_OVER_1024_CHARS: "a name is too long; is a quote missing?",
  MISSING_CHAR: "a quote, a bracket, a comma or a colon is missing here",
  MULTILINE_IMPLICIT_KEY: "a name goes over several lines; is a colon or a quote missing?",
  MULTIPLE_ANCHORS: "a value has two anchors",
  MULTIPLE_DOCS: "there is more than one document; keep one",
  MULTIPLE_TAGS: "a value has two tags",
  NON_STRING_KEY: "a name has to be text",
  RESOURCE_EXHAUSTION: "it is nested too deep",
  TAB_AS_INDENT: "a tab indents this line; use spaces",
  TAG_RESOLVE_FAILED: "a tag (!) is not allowed",
  UNEXPECTED_TOKEN: "this does not belong here; is a quote missing, or does a value need quotes?",
};

/** Reads YAML 1.2 without tags, and keeps where each value stands. The library is loaded by its first use. */
export async function parseYaml(text: string, file: string): Promise<Node> {
  refuseDepth(text);
  const yaml = await import("yaml");
  refuseSize(text, new yaml.Lexer().lex(text));
  const lines = new yaml.LineCounter();
  const options = {
    version: "1.2",
    schema: "core",
    strict: true,
    uniqueKeys: false, // it would compare each name with all others; the reader below sees them too
    prettyErrors: false,
    lineCounter: lines,
  } as const;
  const place = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const documents = yaml.parseAllDocuments(text, options);
  const list = Array.isArray(documents) ? (documents as Yaml.Document.Parsed[]) : []; // empty text gives an object
  for (const { errors, warnings } of list)
    for (const { code, pos } of [...errors, ...warnings])
      throw new SyntaxFault(FAULTS[code] ?? FAULTS["IMPOSSIBLE"] ?? code, place(pos[0]));
  const [first, second] = list;
  if (second !== undefined) throw new SyntaxFault("there is more than one document; keep one", place(second.range[0]));
  if (first === undefined || first.contents === null) return { kind: "map", at: file, entries: new Map() };
  const reader = new YamlReader(yaml, (offset) => place(offset), file);
  return reader.node(first.contents, 0);
}

/** The parser itself goes down by recursion, so brackets without end are refused before it sees them. */
function refuseDepth(text: string): void {
  let depth = 0;
  for (const [index, line] of text.split("\n").entries()) {
    depth += (line.match(/[[{]/g)?.length ?? 0) - (line.match(/[\]}]/g)?.length ?? 0);
    const dashes = /^[ ]*((?:[-?:] )+)/.exec(line)?.[1]?.length ?? 0;
    const indent = /^ */.exec(line)?.[0].length ?? 0;
    if (depth <= MAX_DEPTH * 4 && dashes <= MAX_DEPTH * 2 && indent <= MAX_DEPTH * 16) continue;
    throw new SyntaxFault(`objects and lists are nested more than ${MAX_DEPTH} deep`, { line: index + 1, column: 1 });
  }
}

function refuseSize(text: string, lexemes: Iterable<string>): void {
  let [count, offset] = [0, 0];
  for (const lexeme of lexemes) {
    if (++count > MAX_LEXEMES)
      throw new SyntaxFault("it has too many values and signs; is it the right file?", positionOf(text, offset));
    if (!CONTROLS.includes(lexeme)) offset += lexeme.length;
  }
}

class YamlReader {
  readonly #yaml: typeof Yaml;
  readonly #place: (offset: number) => Position;
  readonly #file: string;
  #values = 0;
  /** What the aliases to come may mean: the last one with an anchor of that name. */
  readonly #anchors = new Map<string, Yaml.Node>();
  #isRepeating = false;

  constructor(yaml: typeof Yaml, place: (offset: number) => Position, file: string) {
    this.#yaml = yaml;
    this.#place = place;
    this.#file = file;
  }

  node(of: unknown, depth: number): Node {
    const { isAlias, isMap, isSeq, isScalar, isNode } = this.#yaml;
    const start = this.#startOf(of);
    const at = placeIn(this.#file, start);
    if (++this.#values > MAX_VALUES)
      throw new SyntaxFault(`there are more than ${MAX_VALUES} values, aliases included`, start);
    if (depth > MAX_DEPTH) throw new SyntaxFault(`objects and lists are nested more than ${MAX_DEPTH} deep`, start);
    if (isAlias(of)) return this.#repeated(of, start, depth);
    if (isNode(of) && of.anchor !== undefined && !this.#isRepeating) this.#anchors.set(of.anchor, of);
    if (isMap(of)) return this.#map(of, at, depth);
    if (isSeq(of)) return { kind: "list", at, items: of.items.map((item) => this.node(item, depth + 1)) };
    const value = isScalar(of) ? of.value : null;
    if (typeof value === "number" && !isExact(value))
      throw new SyntaxFault("this number is not finite, or too large to be kept exactly; write it in quotes", start);
    return { kind: "value", at, value, isText: false };
  }

  /** What an alias stands for. The library looks through the whole document for each. */
  #repeated({ source }: Yaml.Alias, start: Position, depth: number): Node {
    const meant = this.#anchors.get(source);
    if (meant === undefined) throw new SyntaxFault("this alias (*) names no anchor (&) before it", start);
    const isOutermost = !this.#isRepeating;
    this.#isRepeating = true;
    const node = this.node(meant, depth + 1);
    if (isOutermost) this.#isRepeating = false;
    return node;
  }

  #map(map: Yaml.YAMLMap, at: string, depth: number): MapNode {
    const entries = new Map<string, Node>();
    for (const { key, value } of map.items) {
      const start = this.#startOf(key);
      const name = this.#yaml.isScalar(key) ? key.value : undefined;
      if (typeof name !== "string") throw new SyntaxFault("a name has to be text; put it in quotes", start);
      if (isForbidden(name)) throw new SyntaxFault(`"${name}" is no name for a setting`, start);
      if (entries.has(name)) throw new SyntaxFault("this name is there twice", start);
      const node = this.node(value, depth + 1);
      entries.set(name, { ...node, at: placeIn(this.#file, start) });
    }
    return { kind: "map", at, entries };
  }

  #startOf(of: unknown): Position {
    const range = this.#yaml.isNode(of) ? of.range : undefined;
    return this.#place(range?.[0] ?? 0);
  }
}
