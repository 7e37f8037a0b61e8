import ts from "typescript-js";
import { count, sawNothing, type Check } from "./check.ts";
import { placeOf } from "./imports.ts";
import type { SourceFile } from "./workspace.ts";

/** A comment that turns a check of the compiler or the linter off. */
const SWITCH = /(?:\/\/|\/\*).*?(?:@ts-(?:ignore|expect-error|nocheck)|(?:oxlint|eslint)-disable\S*)(?![\w-])/;
/** The compiler takes any words, the linter those behind two dashes. */
const SAID = /@ts-\S+:? +\w|-disable.* -- \w/;

/** Where the types are given up, one line says why: a cast over `unknown`, an `any`, a check that is turned off. */
export const castReasons: Check = {
  name: "reasons for casts over unknown, for any, and for checks turned off",
  run(workspace) {
    const files = workspace.packages
      .flatMap((pack) => pack.sources)
      .filter(({ path }) => !path.includes("/generated/"));
    const places = files.flatMap(placesIn);
    return {
      saw: `${count(places.length, "place")} in ${count(files.length, "file")}`,
      problems: [
        ...sawNothing(files.length, "file"),
        ...places.flatMap(({ at, what, hasReason }) =>
          hasReason ? [] : [`${at}: ${what} without a reason: find the type, or say in a comment why there is none`],
        ),
      ],
    };
  },
};

/** One place where types are given up. */
interface Place {
  readonly at: string;
  readonly what: string;
  readonly hasReason: boolean;
}

function placesIn(file: SourceFile): Place[] {
  const lines = file.text.split("\n");
  const places: Place[] = [];
  const look = (node: ts.Node): void => {
    const what = nameOf(node);
    if (what !== undefined) places.push({ at: placeOf(file, node), what, hasReason: isExplained(file, lines, node) });
    node.forEachChild(look);
  };
  look(file.tree);
  for (const [i, line] of lines.entries()) {
    if (SWITCH.test(line))
      places.push({ at: `${file.path}:${i + 1}`, what: "a check turned off", hasReason: SAID.test(line) });
  }
  return places;
}

function nameOf(node: ts.Node): string | undefined {
  if (node.kind === ts.SyntaxKind.AnyKeyword) return "any";
  if (!ts.isAsExpression(node) || !ts.isAsExpression(node.expression)) return undefined;
  return node.expression.type.kind === ts.SyntaxKind.UnknownKeyword ? "a cast over unknown" : undefined;
}

/** The comment stands behind it, or on a line of its own above it. */
function isExplained({ tree }: SourceFile, lines: readonly string[], node: ts.Node): boolean {
  const first = tree.getLineAndCharacterOfPosition(node.getStart(tree)).line;
  const last = tree.getLineAndCharacterOfPosition(node.getEnd()).line;
  return /\/\/ \S/.test(lines[last] ?? "") || /^\s*\/\/ \S/.test(lines[first - 1] ?? "");
}
