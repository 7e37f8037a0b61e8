import ts from "typescript-js";
import { count, sawNothing, type Check } from "./check.ts";
import { importsOf, placeOf } from "./imports.ts";
import type { Package, SourceFile, Workspace } from "./workspace.ts";
import { programsOf } from "./readme/programs.ts";

/** The packages whose entry points are for different readers. */
const FACED = ["core", "container"];

/** Faces that not everybody may import in sources; all others are open. Tools may import each. */
const READERS: Readonly<Record<string, (pack: Package, file: SourceFile) => boolean>> = {
  "@steward/core/driver": ({ group }) => group === "packages",
  "@steward/core/container": ({ group }) => group === "packages",
  "@steward/container/framework": ({ short }) =>
    ["server", "fastify", "express", "hono", "nest", "cli"].includes(short),
  "@steward/core/testing": ({ short }, { path }) => short === "testing" || path.endsWith("/src/testing.ts"),
};

/** A list of everything proves no use of anything. */
const LISTS_ALL = ["strict", "checks"];

/** What a face exports is used by somebody outside of its package, and each reader keeps to the faces that are for it. */
export const faces: Check = {
  name: "faces and their readers",
  run(workspace) {
    const faced = workspace.packages.filter(({ group, short }) => group === "packages" && FACED.includes(short));
    const exported = faced.flatMap((pack) => valuesOf(pack));
    const used = usesIn(workspace);
    return {
      saw: `${count(exported.length, "exported value")} of ${count(faced.length, "package")}`,
      problems: [
        ...sawNothing(exported.length, "exported value"),
        ...exported
          .filter(
            ({ face, name }) => !used.get(face)?.some((use) => use.name === name && use.owner !== face.split("/")[1]),
          )
          .map(({ at, face, name }) => `${at}: ${face} exports ${name}, which nothing outside of its package imports`),
        ...workspace.packages.flatMap(strangers),
      ],
    };
  },
};

interface Exported {
  readonly face: string;
  readonly name: string;
  readonly at: string;
}

/** The values that the faces of a package export by name. */
function valuesOf(pack: Package): Exported[] {
  return Object.keys(pack.manifest.exports ?? {}).flatMap((subpath) => {
    const entry = subpath === "." ? "index" : subpath.slice(2);
    const file = pack.sources.find(({ path }) => path.endsWith(`/${pack.short}/src/${entry}.ts`));
    const statements = file?.tree.statements.filter(ts.isExportDeclaration) ?? [];
    return statements.flatMap((statement) =>
      statement.isTypeOnly || statement.exportClause === undefined || !ts.isNamedExports(statement.exportClause)
        ? []
        : statement.exportClause.elements
            .filter((element) => !element.isTypeOnly)
            .map((element) => ({
              face: `${pack.name}${subpath.slice(1)}`,
              name: element.name.text,
              at: file === undefined ? "" : placeOf(file, element),
            })),
    );
  });
}

interface Use {
  readonly name: string;
  /** The package that uses it; the programs of its README are for its readers, and so belong to none. */
  readonly owner: string;
}

/** What is imported by name, by the module that it comes from. */
function usesIn({ packages }: Workspace): Map<string, Use[]> {
  const uses = new Map<string, Use[]>();
  const add = (tree: ts.SourceFile, owner: string): void => {
    for (const [face, name] of namedImports(tree)) {
      const known = uses.get(face) ?? [];
      uses.set(face, known);
      known.push({ name, owner });
    }
  };
  for (const pack of packages) {
    if (pack.group === "tooling" && LISTS_ALL.includes(pack.short)) continue;
    for (const file of [...pack.sources, ...pack.tests]) add(file.tree, pack.short);
    for (const { at, code } of programsOf(`${pack.readme ?? ""}\n${pack.reference ?? ""}`, "README.md"))
      add(ts.createSourceFile(at, code, ts.ScriptTarget.Latest, true), "a README");
  }
  return uses;
}

/** `["@steward/core", "resource"]` for each name that is imported or exported on, and each `core.resource` of a namespace. */
function namedImports(tree: ts.SourceFile): (readonly [string, string])[] {
  const found: (readonly [string, string])[] = [];
  const namespaces = new Map<string, string>();
  for (const statement of tree.statements) {
    const names = namesOf(statement);
    if (names === undefined) continue;
    const [face, clause] = names;
    if (ts.isNamespaceImport(clause)) namespaces.set(clause.name.text, face);
    else if (ts.isNamedImports(clause) || ts.isNamedExports(clause))
      for (const { propertyName, name } of clause.elements) found.push([face, (propertyName ?? name).text]);
  }
  if (namespaces.size === 0) return found;
  const look = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
      const face = namespaces.get(node.expression.text);
      if (face !== undefined) found.push([face, node.name.text]);
    }
    ts.forEachChild(node, look);
  };
  look(tree);
  return found;
}

function namesOf(
  statement: ts.Statement,
): readonly [string, ts.NamedImportBindings | ts.NamedExportBindings] | undefined {
  const clause = ts.isImportDeclaration(statement)
    ? statement.importClause?.namedBindings
    : ts.isExportDeclaration(statement)
      ? statement.exportClause
      : undefined;
  if (clause === undefined) return undefined;
  const { moduleSpecifier } = statement as ts.ImportDeclaration | ts.ExportDeclaration; // it has a clause
  return moduleSpecifier !== undefined && ts.isStringLiteral(moduleSpecifier)
    ? [moduleSpecifier.text, clause]
    : undefined;
}

/** Imports of faces that are not for the package. Its tests may look at everything. */
function strangers(pack: Package): string[] {
  if (pack.group === "tooling") return [];
  return pack.sources.flatMap((file) =>
    importsOf(file)
      .filter(({ specifier }) => READERS[specifier]?.(pack, file) === false)
      .map(({ at, specifier }) => `${at}: ${specifier} is not for ${pack.name}`),
  );
}
