import { placeIn, SyntaxFault } from "./syntax.ts";

/** One line of a `.env` file. */
export interface DotenvEntry {
  readonly name: string;
  readonly text: string;
  readonly at: string;
}

const ENTRY = /[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z\d_.-]*)[ \t]*=[ \t]*/y;
const SKIPPED = /[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/y;
const QUOTED = /(?:"((?:[^"\\]|\\[^])*)"|'([^']*)'|`([^`]*)`)[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/y;
const PLAIN = /([^\n]*)(?:\n|$)/y;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\" };

/**
 * Reads a `.env` file. A line that sets nothing, a quote that does not end and a name that is there twice are refused,
 * for each of them would leave a setting out without a word.
 * @throws SyntaxFault
 */
export function parseDotenv(given: string, file: string): DotenvEntry[] {
  const text = given.replace(/^\uFEFF/, "");
  const entries = new Map<string, DotenvEntry>();
  let offset = 0;
  let line = 1;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = offset;
    const found = pattern.exec(text);
    if (found !== null) {
      offset += found[0].length;
      line += found[0].split("\n").length - 1;
    }
    return found;
  };
  while (offset < text.length) {
    if (match(SKIPPED) !== null) continue;
    const start = { line, column: 1 };
    const name = match(ENTRY)?.[1];
    if (name === undefined)
      throw new SyntaxFault("this line sets nothing: NAME=value is expected, or # for a comment", start);
    if (entries.has(name)) throw new SyntaxFault("this name is there twice", start);
    entries.set(name, { name, text: valueAt(text, offset, match, start.line), at: placeIn(file, start) });
  }
  return [...entries.values()];
}

function valueAt(
  text: string,
  offset: number,
  match: (pattern: RegExp) => RegExpExecArray | null,
  line: number,
): string {
  const quoted = match(QUOTED);
  if (quoted !== null) return quoted[1]?.replaceAll(/\\([^])/g, unescaped) ?? quoted[2] ?? quoted[3] ?? "";
  const first = text[offset] ?? "";
  if (`"'\``.includes(first) && first !== "")
    throw new SyntaxFault("a quote does not end, or something stands behind its end", { line, column: 1 });
  const plain = match(PLAIN)?.[1] ?? "";
  const comment = plain.search(/(?:^|[ \t])#/);
  return (comment === -1 ? plain : plain.slice(0, comment)).trim();
}

function unescaped(whole: string, letter: string): string {
  return ESCAPES[letter] ?? whole;
}
