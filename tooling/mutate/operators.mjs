import ts from "typescript-js";

const K = ts.SyntaxKind;

/** What stands in the place of an operator, as the field does it: boundaries, negations, the other of two. */
const BINARY = new Map([
  [K.LessThanToken, "<="],
  [K.LessThanEqualsToken, "<"],
  [K.GreaterThanToken, ">="],
  [K.GreaterThanEqualsToken, ">"],
  [K.EqualsEqualsEqualsToken, "!=="],
  [K.ExclamationEqualsEqualsToken, "==="],
  [K.AmpersandAmpersandToken, "||"],
  [K.BarBarToken, "&&"],
  [K.QuestionQuestionToken, "&&"],
  [K.PlusToken, "-"],
  [K.MinusToken, "+"],
  [K.AsteriskToken, "/"],
  [K.SlashToken, "*"],
]);
const ASSIGNMENT = new Map([
  [K.PlusEqualsToken, "-="],
  [K.MinusEqualsToken, "+="],
]);

/** Texts that can stand in the place of an expression; `text` gives the (changed) text of a part of it. */
export function replacements(node, text) {
  if (ts.isBinaryExpression(node)) return binary(node, text);
  if (ts.isPrefixUnaryExpression(node)) return prefix(node, text);
  if (ts.isPostfixUnaryExpression(node))
    return [`${text(node.operand)}${node.operator === K.PlusPlusToken ? "--" : "++"}`];
  if (node.kind === K.TrueKeyword) return ["false"];
  if (node.kind === K.FalseKeyword) return ["true"];
  if (ts.isNumericLiteral(node) && !isKey(node)) return [Number(node.text) === 0 ? "1" : "0"];
  if (isCondition(node)) return ["true", "false"];
  return [];
}

function binary(node, text) {
  const [left, right] = [text(node.left), text(node.right)];
  const kind = node.operatorToken.kind;
  if (ASSIGNMENT.has(kind)) return [`${left} ${ASSIGNMENT.get(kind)} ${right}`];
  if (kind === K.PlusToken && [node.left, node.right].some(isText)) return [];
  const other = BINARY.has(kind) ? [`(${left}) ${BINARY.get(kind)} (${right})`] : [];
  return isCondition(node) ? [...other, "true", "false"] : other;
}

function prefix(node, text) {
  const operand = text(node.operand);
  if (node.operator === K.ExclamationToken) return [`(${operand})`];
  if (node.operator === K.MinusToken && !ts.isNumericLiteral(node.operand)) return [`+(${operand})`];
  if (node.operator === K.PlusPlusToken) return [`--${operand}`];
  return node.operator === K.MinusMinusToken ? [`++${operand}`] : [];
}

const isText = (node) => ts.isStringLiteralLike(node) || ts.isTemplateExpression(node);

function isKey({ parent }) {
  return ts.isPropertyAssignment(parent) ? ts.isNumericLiteral(parent.name) : ts.isEnumMember(parent);
}

/** The condition of an `if`, a `while` or a choice; not a loop for ever. */
function isCondition(node) {
  const { parent } = node;
  if (ts.isConditionalExpression(parent)) return parent.condition === node;
  return (ts.isIfStatement(parent) || ts.isWhileStatement(parent)) && parent.expression === node;
}

/** True for a statement that can be left out: a call or an assignment for its effect. */
export function canBeLeftOut(node) {
  if (!ts.isExpressionStatement(node)) return false;
  const { expression } = node;
  const inner =
    ts.isAwaitExpression(expression) || ts.isVoidExpression(expression) ? expression.expression : expression;
  if (ts.isCallExpression(inner)) return inner.expression.kind !== K.SuperKeyword;
  return ts.isBinaryExpression(inner) && inner.operatorToken.kind === K.EqualsToken;
}
