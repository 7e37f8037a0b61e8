import type { Diagnostic } from "../compiler.ts";

/** An error that a fixture says the compiler reports. */
export interface Expectation {
  readonly file: string;
  readonly line: number;
  readonly code: string;
  readonly text: string;
}

const comment = /\/\/ error: (TS\d+)(?: (.*))?$/;

/**
 * The `// error: TS2322 some words` comments of a fixture. Behind code they speak of that line, on a line
 * of their own of the next line of code. The words are a part of the message; without words the code suffices.
 */
export function expectationsOf(file: string, source: string): Expectation[] {
  const lines = source.split("\n");
  return lines.flatMap((line, index) => {
    const found = comment.exec(line.trimEnd());
    if (found === null) return [];
    const alone = line.trimStart().startsWith("//");
    const [, code = "", text = ""] = found;
    return [{ file, line: (alone ? nextCode(lines, index) : index) + 1, code, text: text.trim() }];
  });
}

function nextCode(lines: readonly string[], from: number): number {
  let at = from + 1;
  while (at < lines.length && /^\s*(\/\/.*)?$/.test(lines[at] ?? "")) at += 1;
  return at;
}

/** What differs between what was expected and what was reported, both ways. Empty when they agree. */
export function compare(expected: readonly Expectation[], reported: readonly Diagnostic[]): string[] {
  const left = [...reported];
  const problems: string[] = [];
  for (const want of expected) {
    const at = left.findIndex((got) => matches(want, got));
    if (at >= 0) left.splice(at, 1);
    else problems.push(`${want.file}:${want.line}: expected ${want.code} "${want.text}"${nearby(want, reported)}`);
  }
  for (const got of left) problems.push(`${got.file}:${got.line}: unexpected ${got.code}: ${got.text}`);
  return problems;
}

function matches(want: Expectation, got: Diagnostic): boolean {
  return want.file === got.file && want.line === got.line && want.code === got.code && got.text.includes(want.text);
}

function nearby(want: Expectation, reported: readonly Diagnostic[]): string {
  const same = reported.filter((got) => got.file === want.file && got.line === want.line);
  return same.length === 0 ? ", but the line compiles" : `, got ${same.map((g) => `${g.code} "${g.text}"`).join("; ")}`;
}
