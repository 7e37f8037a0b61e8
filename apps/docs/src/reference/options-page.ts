import ts from "typescript-js";
import { cell, packageNames, treesOf, wordsOf } from "./sources.ts";

/** Options of every package, as their types declare them. */
export function optionsPage(): string {
  const parts = packageNames().flatMap((name) => {
    const tables = interfacesOf(name).map(tableOf);
    return tables.length === 0 ? [] : [`## @steward/${name} {#${name}}\n\n${tables.join("\n")}`];
  });
  return `# Options

Options of the functions and managers of each package, made of their types. An option that is misspelt is refused with the
nearest known name. Durations are in ms, sizes in bytes. Which option means the same in all drivers is in the
[vocabulary of core](/packages/core#one-vocabulary).

${parts.join("\n")}`;
}

/** Exported interfaces whose names end in `Options`, and that one of the package's entries exports. */
function interfacesOf(name: string): ts.InterfaceDeclaration[] {
  const trees = treesOf(name);
  const entries = trees.filter(({ fileName }) => !fileName.includes("/") || fileName.endsWith("/index.ts"));
  const exported = entries.map((tree) =>
    tree.statements
      .filter(ts.isExportDeclaration)
      .map((s) => s.getText())
      .join("\n"),
  );
  const isPublic = (type: string): boolean => exported.some((text) => new RegExp(`\\b${type}\\b`).test(text));
  return trees
    .flatMap((tree) => tree.statements.filter(ts.isInterfaceDeclaration))
    .filter(({ name: { text }, members }) => text.endsWith("Options") && members.length > 0 && isPublic(text));
}

function tableOf(declaration: ts.InterfaceDeclaration): string {
  const rows = declaration.members.flatMap((member) => {
    if (!ts.isPropertySignature(member) && !ts.isMethodSignature(member)) return [];
    const optional = member.questionToken === undefined ? " (needed)" : "";
    return [`| \`${member.name.getText()}\`${optional} | \`${cell(typeOf(member))}\` | ${cell(wordsOf(member))} |`];
  });
  const bases = declaration.heritageClauses?.flatMap((clause) => clause.types.map((t) => short(t.getText()))) ?? [];
  const also = bases.length === 0 ? "" : `\nAlso those of \`${cell(bases.join(", "))}\`.\n`;
  const words = wordsOf(declaration);
  return `### ${declaration.name.text}\n\n${words}\n${also}\n| option | type | meaning |\n|---|---|---|\n${rows.join("\n")}\n`;
}

function typeOf(member: ts.PropertySignature | ts.MethodSignature): string {
  if (ts.isMethodSignature(member))
    return short(member.getText().slice(member.name.getText().length).replace(/;$/, ""));
  return short((member.type?.getText() ?? "unknown").replaceAll(/\s*\|\s*undefined\b/g, ""));
}

function short(type: string): string {
  return type
    .replaceAll(/\/\*[\s\S]*?\*\//g, "")
    .replaceAll(/\breadonly /g, "")
    .replaceAll(/\s+/g, " ")
    .replace(/^\| /, "");
}
