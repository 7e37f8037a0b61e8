import ts from "typescript-js";
import { canBeLeftOut, replacements } from "./operators.mjs";

/**
 * Puts every mutant of a module into one text, each behind a switch, so that a module is written once and a run picks
 * its mutant: `globalThis.__mutant(7) ? (a <= b) : (a < b)`.
 *
 * @param first number of the first mutant.
 * @returns the text, and the mutants: `{ id, at, from, to }`, `at` being an offset in the original.
 */
export function instrument(source, first) {
  const tree = ts.createSourceFile("module.js", source, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
  const mutants = [];
  const note = (node, to) => {
    const id = first + mutants.length;
    mutants.push({ id, at: node.getStart(tree), from: node.getText(tree), to });
    return `globalThis.__mutant(${id})`;
  };
  /** The text of a node with all switches below and at it. */
  function text(node) {
    const inner = below(node);
    // In braces of its own: after `if (a) b(); else c();` the `else` would otherwise belong to the switch of `b()`.
    if (canBeLeftOut(node)) return `{ if (!${note(node, "")}) { ${inner} } }`;
    if (isFixed(node)) return inner;
    const original = (part) => part.getText(tree);
    return replacements(node, original).reduce(
      (so, to) => `(${note(node, to)} ? (${to}) : ${so})`,
      wrapped(node, inner),
    );
  }
  /** The text of a node where its children have their switches. */
  function below(node) {
    let [out, at] = ["", node.getStart(tree)];
    ts.forEachChild(node, (child) => {
      const start = child.getStart(tree);
      out += source.slice(at, start) + text(child);
      at = child.end;
    });
    return out + source.slice(at, node.end);
  }
  const changed = source.slice(0, tree.getStart(tree)) + below(tree);
  return { text: changed + source.slice(tree.end), mutants };
}

const wrapped = (node, inner) =>
  ts.isBinaryExpression(node) || ts.isPrefixUnaryExpression(node) ? `(${inner})` : inner;

/** Places where an expression cannot have a switch: what is assigned to, `delete` and `typeof`, parts of `import`. */
function isFixed(node) {
  const { parent } = node;
  if (parent === undefined || ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent)) return true;
  if (ts.isDeleteExpression(parent)) return true;
  if (ts.isExpressionStatement(parent) && ts.isBinaryExpression(node)) return !isCompound(node);
  return ts.isLiteralTypeNode(parent) || isDestructuring(node);
}

const isCompound = (node) =>
  node.operatorToken.kind === ts.SyntaxKind.PlusEqualsToken ||
  node.operatorToken.kind === ts.SyntaxKind.MinusEqualsToken;

/** `[a = 1] = list`, where the part with the default is a target and no value. */
function isDestructuring(node) {
  if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.EqualsToken) return false;
  return ts.isArrayLiteralExpression(node.parent) || ts.isShorthandPropertyAssignment(node.parent);
}
