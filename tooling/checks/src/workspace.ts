import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import ts from "typescript-js";
import { textsIn } from "./readme/texts.ts";

/** The parts of a package.json that the checks read. */
export interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** A TypeScript file with its syntax tree; `path` is relative to the root and uses slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

/** A package of the workspace. `short` is its folder's name, `core` for `packages/core`. */
export interface Package {
  readonly name: string;
  readonly short: string;
  readonly group: "packages" | "apps" | "tooling";
  readonly directory: string;
  readonly manifest: Manifest;
  readonly sources: readonly SourceFile[];
  readonly tests: readonly SourceFile[];
  readonly configs: readonly SourceFile[];
  readonly readme: string | undefined;
  /** REFERENCE.md: what a README would be too long with. */
  readonly reference: string | undefined;
  /** Markdown below `pages/`, of a site. */
  readonly pages: readonly { readonly path: string; readonly text: string }[];
}

/** The repository as the checks see it. */
export interface Workspace {
  readonly root: string;
  readonly packages: readonly Package[];
}

/** Reads every package below `packages/`, `apps/` and `tooling/`. */
export function readWorkspace(root: string): Workspace {
  const groups = ["packages", "apps", "tooling"] as const;
  const packages = groups.flatMap((group) =>
    foldersOf(join(root, group))
      .filter((short) => existsSync(join(root, group, short, "package.json")))
      .map((short) => readPackage(root, group, short)),
  );
  return { root, packages };
}

/** A package whose index exports nothing yet. It has no rules to keep but those of imports. */
export function isStub({ sources }: Package): boolean {
  const index = sources.find((s) => s.path.endsWith("/src/index.ts"));
  return index === undefined || !/\bfrom\b/.test(index.text);
}

/** The packages that users install. */
export function libraries({ packages }: Workspace): readonly Package[] {
  return packages.filter((p) => p.group === "packages");
}

/** The library packages that have something to check. */
export function written(workspace: Workspace): readonly Package[] {
  return libraries(workspace).filter((p) => !isStub(p));
}

function foldersOf(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

function readPackage(root: string, group: Package["group"], short: string): Package {
  const directory = join(root, group, short);
  // The checks below report what is missing or of the wrong shape.
  const manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as Manifest;
  const textOf = (name: string): string | undefined => {
    const path = join(directory, name);
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  };
  const at = (folder: string) => filesBelow(join(directory, folder)).map((file) => parse(root, file));
  return {
    name: manifest.name,
    short,
    group,
    directory,
    manifest,
    // Tools keep their programs where they like, and not all of them are compiled.
    sources: group === "tooling" ? at(".").filter((s) => !/\/(test|driver)\//.test(s.path)) : at("src"),
    // What the template holds is used where it is tested.
    tests: group === "tooling" ? [...at("test"), ...at("driver")] : at("test"),
    configs: readdirSync(directory)
      .filter((name) => name.endsWith(".config.ts"))
      .map((name) => parse(root, join(directory, name))),
    readme: textOf("README.md"),
    reference: textOf("REFERENCE.md"),
    pages: textsIn(directory, ["pages"]).map((file) => ({
      path: `${group}/${short}/${file.split(sep).join("/")}`,
      text: readFileSync(join(directory, file), "utf8"),
    })),
  };
}

function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) return [];
  const found: string[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && !/^(\..*|node_modules|dist|out)$/.test(entry.name)) found.push(...filesBelow(path));
    if (entry.isFile() && /\.m?[jt]s$/.test(entry.name)) found.push(path);
  }
  return found.sort();
}

function parse(root: string, file: string): SourceFile {
  const text = readFileSync(file, "utf8");
  const path = relative(root, file).split(sep).join("/");
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true) };
}
