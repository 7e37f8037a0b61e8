import ts from "typescript-js";
import { count, sawNothing, type Check } from "./check.ts";
import { allowedImports } from "./import-direction.ts";
import { placeOf } from "./imports.ts";
import { libraries, written, type Package, type SourceFile, type Workspace } from "./workspace.ts";

const shape = /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$|^[A-Z][A-Z0-9]{5,}$/;

/** The codes of one package: `CORE_CODES` in `src/errors.ts`, each with one line of meaning. */
interface Codes {
  readonly pack: Package;
  readonly table: ts.ObjectLiteralExpression | undefined;
  readonly codes: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

/** Error codes are equal in source, README and tests: declared, raised, documented and shown by a test. */
export const errorCodes: Check = {
  name: "error codes in source = docs = tests",
  run(workspace) {
    const all = written(workspace).map(declaredCodes);
    const total = all.reduce((sum, { codes }) => sum + codes.size, 0);
    const mentioned = literalsOf(workspace.packages.flatMap((p) => p.tests));
    return {
      saw: `${count(total, "code")} of ${count(all.length, "package")}`,
      problems: [
        ...sawNothing(libraries(workspace).length, "library"),
        ...(all.length > 0 ? sawNothing(total, "error code") : []),
        ...all.flatMap((own) => [
          ...own.problems,
          ...raisedProblems(own, all),
          ...readmeProblems(own, all),
          ...[...own.codes.keys()]
            .filter((code) => !mentioned.has(code))
            .map((code) => `${own.pack.name}: no test shows ${code}`),
        ]),
        ...twice(all),
        ...undeclaredIn(workspace, all),
      ],
    };
  },
};

function declaredCodes(pack: Package): Codes {
  const name = `${pack.short.replaceAll("-", "_").toUpperCase()}_CODES`;
  // What joins a framework with the server package raises the codes of that.
  if (allowedImports(pack.short).includes("server")) return { pack, table: undefined, codes: new Map(), problems: [] };
  const file = pack.sources.find((s) => s.path.endsWith("/src/errors.ts"));
  if (file === undefined)
    return { pack, table: undefined, codes: new Map(), problems: [`${pack.name} has no src/errors.ts`] };
  const table = tableOf(file, name);
  if (table === undefined) {
    const problems = [`${file.path} does not export "const ${name} = { ... } as const"`];
    return { pack, table, codes: new Map(), problems };
  }
  const codes = new Map<string, string>();
  const problems: string[] = [];
  for (const property of table.properties) {
    const code = property.name?.getText(file.tree) ?? "";
    const text =
      ts.isPropertyAssignment(property) && ts.isStringLiteralLike(property.initializer)
        ? property.initializer.text
        : "";
    codes.set(code, text);
    if (!shape.test(code)) problems.push(`${placeOf(file, property)}: "${code}" is not an UPPER_SNAKE code`);
    if (text === "" || text.includes("\n"))
      problems.push(`${placeOf(file, property)}: ${code} needs one line of meaning`);
  }
  return { pack, table, codes, problems };
}

function tableOf(file: SourceFile, name: string): ts.ObjectLiteralExpression | undefined {
  for (const statement of file.tree.statements.filter(ts.isVariableStatement)) {
    for (const declaration of statement.declarationList.declarations) {
      if (declaration.name.getText(file.tree) !== name) continue;
      let value = declaration.initializer;
      while (value !== undefined && (ts.isAsExpression(value) || ts.isSatisfiesExpression(value)))
        value = value.expression;
      if (value !== undefined && ts.isObjectLiteralExpression(value)) return value;
    }
  }
  return undefined;
}

function raisedProblems({ pack, table, codes }: Codes, all: readonly Codes[]): string[] {
  const raised = literalsOf(pack.sources, table);
  // What a package exports for others to raise (the codes of the guard, say) may be raised by them.
  const users = all.filter((o) => allowedImports(o.pack.short).includes(pack.short)).flatMap((o) => o.pack.sources);
  const elsewhere = literalsOf(users);
  return [...codes.keys()]
    .filter((code) => !raised.has(code) && !elsewhere.has(code))
    .map((code) => `${pack.name}: ${code} is declared, but no source raises it`);
}

function readmeProblems({ pack, codes }: Codes, all: readonly Codes[]): string[] {
  const section = errorsSection(pack.readme ?? "");
  if (section === undefined) return [`${pack.name}: README.md has no section "## Errors"`];
  const documented = new Set([...section.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map((m) => m[1] ?? ""));
  const known = new Set(all.filter((o) => mayKnow(pack, o.pack)).flatMap((o) => [...o.codes.keys()]));
  return [
    ...[...codes.keys()].filter((c) => !documented.has(c)).map((c) => `${pack.name}: README.md does not explain ${c}`),
    ...[...documented]
      .filter((c) => shape.test(c) && !known.has(c))
      .map((c) => `${pack.name}: README.md explains ${c}, which no source declares`),
  ];
}

function mayKnow(pack: Package, other: Package): boolean {
  return pack === other || allowedImports(pack.short).includes(other.short);
}

/** The text below `## Errors`, up to the next heading of that rank. */
export function errorsSection(readme: string): string | undefined {
  return /^## Errors\s*\n([\s\S]*?)(?=^## |$(?![\s\S]))/m.exec(readme)?.[1];
}

function twice(all: readonly Codes[]): string[] {
  const byCode = new Map<string, string[]>();
  for (const { pack, codes } of all) {
    for (const code of codes.keys()) byCode.set(code, [...(byCode.get(code) ?? []), pack.name]);
  }
  return [...byCode]
    .filter(([, names]) => names.length > 1)
    .map(([code, names]) => `${code} is declared by ${names.join(" and ")}`);
}

/** Codes that an error is made with, or that `@throws` promises, without being declared anywhere. */
function undeclaredIn(workspace: Workspace, all: readonly Codes[]): string[] {
  const known = new Set(all.flatMap((o) => [...o.codes.keys()]));
  return written(workspace).flatMap((pack) =>
    pack.sources.flatMap((file) => [
      ...raisedIn(file)
        .filter(({ code }) => !known.has(code))
        .map(({ code, at }) => `${at}: raises ${code}, which no package declares`),
      ...[...file.text.matchAll(/@throws \{([A-Z][A-Z0-9_]+)\}/g)]
        .filter((m) => !known.has(m[1] ?? ""))
        .map((m) => `${file.path}: @throws ${m[1] ?? ""}, which no package declares`),
    ]),
  );
}

function raisedIn(file: SourceFile): { code: string; at: string }[] {
  const found: { code: string; at: string }[] = [];
  const walk = (node: ts.Node): void => {
    if (ts.isNewExpression(node) && node.expression.getText(file.tree).endsWith("Error")) {
      const [first] = node.arguments ?? [];
      if (first !== undefined && ts.isStringLiteralLike(first) && shape.test(first.text)) {
        found.push({ code: first.text, at: placeOf(file, first) });
      }
    }
    ts.forEachChild(node, walk);
  };
  walk(file.tree);
  return found;
}

/** Every string literal of the files, one syntax node excepted. */
function literalsOf(files: readonly SourceFile[], except?: ts.Node): ReadonlySet<string> {
  const found = new Set<string>();
  const walk = (node: ts.Node): void => {
    if (node === except) return;
    if (ts.isStringLiteralLike(node)) found.add(node.text);
    ts.forEachChild(node, walk);
  };
  for (const file of files) walk(file.tree);
  return found;
}
