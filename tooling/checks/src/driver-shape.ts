import { existsSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript-js";
import { count, type Check } from "./check.ts";
import { isStub, libraries, type Package, type SourceFile } from "./workspace.ts";

const notDrivers = [
  "core",
  "container",
  "testing",
  "launchers",
  "server",
  "fastify",
  "express",
  "hono",
  "nest",
  "telemetry",
  "dashboard",
  "cli",
  "create-steward",
];
const required = ["index", "options", "manager", "health", "errors", "testing"];
const concepts = 4;
const sections = ["Install", "Options", "Errors", "Health and metrics", "What stop does"];

/** Who knows one driver package knows all: the same files, the same class shape, the same README. */
export const driverShape: Check = {
  name: "shape of driver packages",
  run(workspace) {
    const drivers = libraries(workspace).filter((p) => !notDrivers.includes(p.short));
    const stubs = drivers.filter(isStub);
    const checked = drivers.filter((p) => !isStub(p));
    const names = checked.map((p) => p.short).join(", ");
    const left = stubs.length > 0 ? `; ${count(stubs.length, "stub")}: ${stubs.map((p) => p.short).join(", ")}` : "";
    return {
      saw: `${count(checked.length, "driver")}${names === "" ? "" : `: ${names}`}${left}`,
      problems: [
        ...(drivers.length > 0 ? [] : ["saw no driver package: the check looks in the wrong place"]),
        ...checked.flatMap((p) => [
          ...fileProblems(p),
          ...managerProblems(p),
          ...readmeProblems(p),
          ...exportProblems(p),
        ]),
      ],
    };
  },
};

function fileProblems({ name, directory, sources, group, short }: Package): string[] {
  const home = `${group}/${short}/`;
  const parts = new Set(sources.map((s) => s.path.slice(`${home}src/`.length).split("/")[0]?.replace(/\.ts$/, "")));
  const own = [...parts].filter((part) => part !== undefined && !required.includes(part));
  const missing = required.filter((part) => !parts.has(part)).map((part) => `src/${part}.ts`);
  if (!existsSync(join(directory, "test/contract.test.ts"))) missing.push("test/contract.test.ts");
  return [
    ...missing.map((file) => `${name} has no ${file}`),
    ...(own.length > concepts
      ? [`${name} has ${own.length} concept files, at most ${concepts}: ${own.join(", ")}`]
      : []),
  ];
}

function managerProblems({ name, sources }: Package): string[] {
  const file = sources.find((s) => s.path.endsWith("/src/manager.ts"));
  if (file === undefined) return [];
  const managers = classesOf(file).filter((c) => c.name?.text.endsWith("Manager"));
  if (managers.length !== 1)
    return [`${name}: src/manager.ts exports ${count(managers.length, "manager class")}, not 1`];
  return managers.flatMap((c) => {
    const members = new Set(membersOf(c, file, sources));
    const wanted = ["start", "stop", "stats"].filter((m) => !members.has(m));
    return wanted.map((m) => `${name}: ${c.name?.text ?? "the manager"} has no ${m}()`);
  });
}

function classesOf(file: SourceFile): ts.ClassDeclaration[] {
  return file.tree.statements.filter(ts.isClassDeclaration).filter((c) => isExported(c));
}

function isExported(node: ts.HasModifiers): boolean {
  return ts.getModifiers(node)?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

/** Own members; with a base class of core's (`Manager`) the base has them all. */
function membersOf(declaration: ts.ClassDeclaration, file: SourceFile, sources: readonly SourceFile[]): string[] {
  const own = declaration.members.map((m) => m.name?.getText(file.tree) ?? "");
  const base = declaration.heritageClauses?.find((h) => h.token === ts.SyntaxKind.ExtendsKeyword)?.types[0];
  if (base === undefined) return own;
  const baseName = base.expression.getText(file.tree);
  for (const other of sources) {
    const found = other.tree.statements.filter(ts.isClassDeclaration).find((c) => c.name?.text === baseName);
    if (found !== undefined) return [...own, ...membersOf(found, other, sources)];
  }
  return [...own, "start", "stop", "stats"];
}

function readmeProblems({ name, readme }: Package): string[] {
  if (readme === undefined) return [`${name} has no README.md`];
  const headings = new Set([...readme.matchAll(/^## (.+)$/gm)].map((m) => m[1]?.trim()));
  return sections.filter((s) => !headings.has(s)).map((s) => `${name}: README.md has no section "## ${s}"`);
}

function exportProblems({ name, manifest }: Package): string[] {
  return [".", "./testing"]
    .filter((path) => !Object.hasOwn(manifest.exports ?? {}, path))
    .map((path) => `${name}: package.json does not export "${path}"`);
}
