import ts from "typescript-js";
import type { SourceFile } from "./workspace.ts";

/** A module that a file names, with the place where it does. */
export interface Import {
  readonly specifier: string;
  readonly at: string;
}

/** All modules a file names: static, dynamic, re-exported, in types, in `require`, and those whose place it looks up. */
export function importsOf(file: SourceFile): readonly Import[] {
  const found: Import[] = [];
  const walk = (node: ts.Node): void => {
    const specifier = specifierOf(node);
    if (specifier !== undefined) found.push({ specifier: specifier.text, at: placeOf(file, specifier) });
    ts.forEachChild(node, walk);
  };
  walk(file.tree);
  return found;
}

/** `path:line` of a node. */
export function placeOf(file: SourceFile, node: ts.Node): string {
  return `${file.path}:${file.tree.getLineAndCharacterOfPosition(node.getStart(file.tree)).line + 1}`;
}

/** The package a specifier belongs to: `@a/b` for `@a/b/c`; `undefined` for relative paths and built-ins. */
export function packageOf(specifier: string): string | undefined {
  if (/^(\.|\/|node:|#)/.test(specifier)) return undefined;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function specifierOf(node: ts.Node): ts.StringLiteralLike | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return literal(node.moduleSpecifier);
  if (ts.isImportTypeNode(node))
    return ts.isLiteralTypeNode(node.argument) ? literal(node.argument.literal) : undefined;
  if (ts.isModuleDeclaration(node)) return literal(node.name);
  if (!ts.isCallExpression(node)) return undefined;
  const { expression } = node;
  const loads =
    expression.kind === ts.SyntaxKind.ImportKeyword ||
    (ts.isIdentifier(expression) && expression.text === "require") ||
    (ts.isPropertyAccessExpression(expression) && ["require", "import.meta"].includes(expression.expression.getText()));
  return loads ? literal(node.arguments[0]) : undefined;
}

function literal(node: ts.Node | undefined): ts.StringLiteralLike | undefined {
  return node !== undefined && ts.isStringLiteralLike(node) ? node : undefined;
}
