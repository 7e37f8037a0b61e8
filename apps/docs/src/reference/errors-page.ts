import ts from "typescript-js";
import { HOME } from "../places.ts";
import { links } from "./package-pages.ts";
import { packageNames, rowsOf, sectionOf, textOf, treesOf } from "./sources.ts";

/** A code: what its registry says, and what the README of its package says of when it comes. */
export interface Code {
  readonly code: string;
  readonly package: string;
  readonly meaning: string;
  readonly more: string | undefined;
}

/** Every code of every package. */
export function codes(): Code[] {
  return packageNames().flatMap((name) => {
    const more = explained(name);
    return registryOf(name).map(([code, meaning]) => ({ code, package: name, meaning, more: more.get(code) }));
  });
}

/** The entries of `<PACKAGE>_CODES` in `src/errors.ts`. */
function registryOf(name: string): (readonly [string, string])[] {
  const found: (readonly [string, string])[] = [];
  const table = `${name.replaceAll("-", "_").toUpperCase()}_CODES`;
  const walk = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) && node.name.getText() === table && node.initializer !== undefined)
      node.initializer.forEachChild(function entries(inner): void {
        if (ts.isPropertyAssignment(inner) && ts.isStringLiteralLike(inner.initializer))
          found.push([inner.name.getText(), inner.initializer.text]);
        else inner.forEachChild(entries);
      });
    node.forEachChild(walk);
  };
  for (const tree of treesOf(name).filter(({ fileName }) => fileName === "errors.ts")) walk(tree);
  return found;
}

function explained(name: string): Map<string, string> {
  const section = sectionOf(textOf("packages", name, "README.md") ?? "", /^## Errors/) ?? "";
  const rows = rowsOf(section).flatMap(([names = "", text = ""]) => {
    const found = [...names.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, code = ""]) => code);
    return found.length === 1 ? found.map((code) => [code, links(text, `packages/${name}/README.md`)] as const) : [];
  });
  return new Map(rows);
}

/** Codes with a section of their own in the guide of troubleshooting. */
export function advised(): Set<string> {
  const guide = textOf("apps/docs/pages/guides/troubleshooting.md") ?? "";
  return new Set([...guide.matchAll(/\{#([A-Z][A-Z0-9_]+)\}/g)].map(([, code = ""]) => code));
}

/** All codes, each an anchor: `reference/errors#OVERLOADED`. */
export function errorsPage(): string {
  const all = codes();
  if (all.length === 0) throw new Error(`no code was found below ${HOME}`);
  const withAdvice = advised();
  const packages = [...new Set(all.map((c) => c.package))];
  const parts = packages.map((name) => {
    const own = all.filter((c) => c.package === name);
    return `## @steward/${name}\n\n${own.map((c) => entryOf(c, withAdvice)).join("\n")}`;
  });
  return `# Error codes

Every error of Steward is a \`StewardError\` with a stable \`code\`. The address of a code on this page ends with it, as in
[\`#OVERLOADED\`](#OVERLOADED). \`isStewardError(error, "OVERLOADED")\` recognises one. What to do about those that
one meets most is in [troubleshooting](/guides/troubleshooting).

This page is made of the registries of the packages: ${all.length} codes of ${packages.length} packages. Codes of core, such as
\`DEADLINE_EXCEEDED\`, are raised by every package.

${parts.join("\n\n")}
`;
}

function entryOf({ code, meaning, more }: Code, withAdvice: ReadonlySet<string>): string {
  const same = more === undefined || normal(more) === normal(meaning);
  const advice = withAdvice.has(code) ? ` [What to do](/guides/troubleshooting#${code}).` : "";
  const further = same ? "" : /^\d{3}$/.test(more) ? ` Servers answer ${more}.` : ` When: ${more.replace(/\.$/, "")}.`;
  return `### ${code} {#${code}}\n\n${meaning}${further}${advice}\n`;
}

function normal(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z]+/g, " ")
    .trim();
}
