import { dirname, join } from "node:path/posix";
import ts from "typescript-js";
import { count, sawNothing, type Check } from "./check.ts";
import { placeOf } from "./imports.ts";
import { libraries, written, type Package, type SourceFile } from "./workspace.ts";

/** A declaration that users can import. */
interface Exported {
  readonly name: string;
  readonly file: SourceFile;
  readonly node: ts.Node;
}

/** Everything public says in words what it is; entry files only re-export, by name. */
export const docstrings: Check = {
  name: "docstrings on public exports",
  run(workspace) {
    const packages = written(workspace);
    const entries = packages.flatMap((pack) => entryFiles(pack).map((file) => ({ pack, file })));
    const exported = packages.map((pack) => entryFiles(pack).flatMap((f) => exportsOf(pack, f)));
    const interfaces = interfacesOf(packages);
    const all = [...new Map(exported.flat().map((e) => [e.node, e])).values()];
    return {
      saw: `${count(all.length, "export")} of ${count(packages.length, "package")}`,
      problems: [
        ...sawNothing(libraries(workspace).length, "library"),
        ...packages.flatMap((p, i) => (exported[i]?.length === 0 ? [`${p.name}: found none of its exports`] : [])),
        ...entries.flatMap(({ file }) => (file.path.endsWith("/index.ts") ? notReExports(file) : [])),
        ...entries.flatMap(({ pack, file }) => unresolved(pack, file)),
        ...all.flatMap((e) => undocumented(e, interfaces)),
      ],
    };
  },
};

/** The source files behind `exports`: `./dist/testing.js` comes from `src/testing.ts`. */
function entryFiles(pack: Package): SourceFile[] {
  const targets = JSON.stringify(pack.manifest.exports ?? {}).matchAll(/"\.\/dist\/([^"]+)\.js"/g);
  return [...targets].flatMap((m) => pack.sources.filter((s) => s.path.endsWith(`/src/${m[1] ?? ""}.ts`)));
}

function notReExports(file: SourceFile): string[] {
  const bad = file.tree.statements.filter((s) => !(ts.isExportDeclaration(s) && s.exportClause !== undefined));
  return bad.map((s) => `${placeOf(file, s)}: an index only re-exports, by name`);
}

function exportsOf(pack: Package, file: SourceFile): Exported[] {
  return file.tree.statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement)) return isExported(statement) ? declarationsOf(statement, file) : [];
    return reExported(statement).flatMap((name) => {
      const found = resolve(pack, file, statement, name);
      return found === undefined ? [] : [found];
    });
  });
}

function unresolved(pack: Package, file: SourceFile): string[] {
  return file.tree.statements.filter(ts.isExportDeclaration).flatMap((statement) => {
    if (!isRelative(statement)) return [];
    return reExported(statement)
      .filter((name) => resolve(pack, file, statement, name) === undefined)
      .map((name) => `${placeOf(file, statement)}: cannot find the declaration of ${name}`);
  });
}

function reExported({ exportClause }: ts.ExportDeclaration): string[] {
  if (exportClause === undefined || !ts.isNamedExports(exportClause)) return [];
  return exportClause.elements.map((e) => (e.propertyName ?? e.name).text);
}

function isRelative({ moduleSpecifier }: ts.ExportDeclaration): boolean {
  return moduleSpecifier !== undefined && ts.isStringLiteral(moduleSpecifier) && moduleSpecifier.text.startsWith(".");
}

function resolve(pack: Package, from: SourceFile, statement: ts.ExportDeclaration, name: string): Exported | undefined {
  const { moduleSpecifier } = statement;
  if (moduleSpecifier === undefined || !ts.isStringLiteral(moduleSpecifier)) return undefined;
  const path = join(dirname(from.path), moduleSpecifier.text);
  const file = pack.sources.find((s) => s.path === path);
  if (file === undefined) return undefined;
  const own = file.tree.statements.flatMap((s) => declarationsOf(s, file)).filter((d) => d.name === name);
  if (own.length > 0) return own.find((d) => hasWords(d.node)) ?? own[0];
  for (const next of file.tree.statements.filter(ts.isExportDeclaration)) {
    if (reExported(next).includes(name)) return resolve(pack, file, next, name) ?? { name, file, node: next };
  }
  return undefined;
}

function declarationsOf(statement: ts.Statement, file: SourceFile): Exported[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map((d) => ({
      name: d.name.getText(file.tree),
      file,
      node: statement,
    }));
  }
  const named =
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement);
  return named && statement.name !== undefined ? [{ name: statement.name.text, file, node: statement }] : [];
}

function isExported(node: ts.Node): boolean {
  return (
    ts.canHaveModifiers(node) && (ts.getModifiers(node)?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword) ?? false)
  );
}

/** The interfaces of all packages by name: what a class implements is described there. */
type Interfaces = ReadonlyMap<string, ts.InterfaceDeclaration>;

function interfacesOf(packages: readonly Package[]): Interfaces {
  const all = packages.flatMap((p) => p.sources).flatMap((s) => s.tree.statements.filter(ts.isInterfaceDeclaration));
  return new Map(all.map((i) => [i.name.text, i]));
}

function undocumented({ name, file, node }: Exported, interfaces: Interfaces): string[] {
  if (ts.isExportDeclaration(node)) return []; // Another package's export, under its own docstring.
  const problems = hasWords(node) ? [] : [`${placeOf(file, node)}: ${name} has no docstring`];
  return [
    ...problems,
    ...membersOf(node, name)
      .filter((m) => !isDescribed(m, interfaces))
      .flatMap((m) => memberProblems(m, name, file)),
  ];
}

/** Members that the compiler leaves out of the declarations, so users do not see them. */
function isInternal(node: ts.Node): boolean {
  return ts.getJSDocTags(node).some(({ tagName }) => tagName.text === "internal");
}

/** Public methods of classes, and the fields of options: there the units and defaults stand. */
function membersOf(node: ts.Node, name: string): readonly (ts.ClassElement | ts.TypeElement)[] {
  if (ts.isClassDeclaration(node))
    return node.members.filter((member) => isPublicMethod(member) && !isInternal(member));
  return ts.isInterfaceDeclaration(node) && name.endsWith("Options") ? node.members : [];
}

// The language says what these do.
const protocol = ["toString", "toJSON", "valueOf"];

function isPublicMethod(member: ts.ClassElement): boolean {
  if (!ts.isMethodDeclaration(member) || !ts.isIdentifier(member.name) || protocol.includes(member.name.text))
    return false;
  const hidden = [ts.SyntaxKind.PrivateKeyword, ts.SyntaxKind.ProtectedKeyword, ts.SyntaxKind.OverrideKeyword];
  return !ts.getModifiers(member)?.some((m) => hidden.includes(m.kind));
}

function memberProblems(member: ts.ClassElement | ts.TypeElement, owner: string, file: SourceFile): string[] {
  if (hasWords(member)) return [];
  const overloads = ts.isMethodDeclaration(member) && member.body === undefined;
  const documentedBefore = siblings(member).some((s) => s !== member && hasWords(s));
  if (overloads || documentedBefore) return [];
  return [`${placeOf(file, member)}: ${owner}.${member.name?.getText(file.tree) ?? "?"} has no docstring`];
}

/** A member that an implemented interface describes. */
function isDescribed(member: ts.ClassElement | ts.TypeElement, interfaces: Interfaces): boolean {
  const { parent } = member;
  if (!ts.isClassDeclaration(parent)) return false;
  const clause = parent.heritageClauses?.find((h) => h.token === ts.SyntaxKind.ImplementsKeyword);
  const names = clause?.types.map((type) => type.expression.getText()) ?? [];
  const described = names.flatMap((name) => interfaces.get(name)?.members ?? []);
  return described.some((m) => m.name?.getText() === member.name?.getText() && hasWords(m));
}

/** Declarations of the same member: overloads share one docstring. */
function siblings(member: ts.ClassElement | ts.TypeElement): readonly ts.Node[] {
  const { parent } = member;
  if (!ts.isClassDeclaration(parent)) return [];
  return parent.members.filter((m) => m.name?.getText() === member.name?.getText());
}

function hasWords(node: ts.Node): boolean {
  const comments = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
  return comments.some((c) => (ts.getTextOfJSDocComment(c.comment) ?? "").trim().length > 0);
}
