import { builtinModules } from "node:module";
import { count, sawNothing, type Check } from "./check.ts";
import { importsOf, packageOf } from "./imports.ts";
import { programsOf } from "./readme/programs.ts";
import { isStub, type Package, type SourceFile } from "./workspace.ts";

// Tools that are run, not imported.
const tools = ["tap", "typescript", "typescript-js", "turbo", "pnpm", "oxlint", "oxfmt"];

/** What a package imports is what it declares: sources from dependencies or peers, tests from devDependencies too. */
export const dependencies: Check = {
  name: "declared = imported dependencies",
  run({ packages }) {
    const declared = packages.flatMap((p) => Object.keys(allDeclared(p)));
    return {
      saw: `${count(declared.length, "declaration")} of ${count(packages.length, "package")}`,
      problems: [
        ...sawNothing(packages.length, "package"),
        ...sawNothing(declared.length, "declared dependency"),
        ...packages.flatMap((p) => [
          ...undeclared(p),
          ...unused(p, packages),
          ...peersUnavailable(p),
          ...ownVersions(p),
        ]),
      ],
    };
  },
};

function allDeclared({ manifest }: Package): Record<string, string> {
  return { ...manifest.devDependencies, ...runtime(manifest) };
}

function runtime(manifest: Package["manifest"]): Record<string, string> {
  return { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies };
}

function undeclared(pack: Package): string[] {
  const forSources = runtime(pack.manifest);
  const forTests = allDeclared(pack);
  return [
    ...pack.sources.flatMap((f) => missing(pack, f, forSources, "dependencies or peerDependencies")),
    ...[...pack.tests, ...pack.configs].flatMap((f) => missing(pack, f, forTests, "devDependencies")),
  ];
}

function missing(pack: Package, file: SourceFile, declared: Record<string, string>, where: string): string[] {
  return importsOf(file).flatMap(({ specifier, at }) => {
    if (specifier.startsWith("node:")) return []; // Node 24 lists "node:test" among them
    if (builtinModules.includes(specifier)) return [`${at}: write "node:${specifier}"`];
    const name = packageOf(specifier);
    if (name === undefined || name === pack.name || Object.hasOwn(declared, name)) return [];
    return [`${at}: ${pack.name} imports ${name}, which is not in its ${where}`];
  });
}

/** Peers of our packages are there for those who depend on these, imported or not. */
function peersOfOurs({ manifest }: Package, packages: readonly Package[]): Set<string> {
  const used = packages.filter((p) => Object.hasOwn(manifest.dependencies ?? {}, p.name));
  return new Set(used.flatMap((p) => Object.keys(p.manifest.peerDependencies ?? {})));
}

function unused(pack: Package, packages: readonly Package[]): string[] {
  if (pack.group === "packages" && isStub(pack)) return [];
  const inSources = namesIn(pack.sources);
  const asPeers = peersOfOurs(pack, packages);
  const anywhere = new Set([...inSources, ...namesIn([...pack.tests, ...pack.configs]), ...namesInTexts(pack)]);
  const scripts = Object.values(pack.manifest.scripts ?? {}).join(" ");
  const { dependencies = {}, peerDependencies = {}, optionalDependencies = {}, devDependencies = {} } = pack.manifest;
  const idle = (names: string[], why: string) => names.map((n) => `${pack.name} declares ${n}, ${why}`);
  const code = pack.sources.map((s) => s.text).join("\n");
  return [
    ...idle(
      Object.keys({ ...dependencies, ...peerDependencies }).filter(
        (n) =>
          !inSources.has(n) &&
          !asPeers.has(n) &&
          !scripts.includes(n) &&
          !isTyping(n, inSources) &&
          !(isOptional(pack, n) && code.includes(`"${n}"`)),
      ),
      "but no source imports it",
    ),
    // Binaries for one platform each are looked up by a computed name.
    ...idle(
      Object.keys(optionalDependencies).filter((n) => !code.includes(n.split("/")[0] ?? n)),
      "but no source names it",
    ),
    ...idle(
      Object.keys(devDependencies).filter((n) => !isUsedInDevelopment(n, anywhere, peerDependencies, scripts)),
      "but nothing uses it",
    ),
  ];
}

function isUsedInDevelopment(
  name: string,
  imported: ReadonlySet<string>,
  peers: Readonly<Record<string, string>>,
  scripts: string,
): boolean {
  if (tools.includes(name) || imported.has(name) || Object.hasOwn(peers, name) || scripts.includes(name)) return true;
  return name === "@types/node" || isTyping(name, imported);
}

/** Types of a library whose own ones are missing. */
function isTyping(name: string, imported: ReadonlySet<string>): boolean {
  return name.startsWith("@types/") && imported.has(name.slice("@types/".length));
}

function namesIn(files: readonly SourceFile[]): Set<string> {
  const names = files.flatMap((f) => importsOf(f).map((i) => packageOf(i.specifier)));
  return new Set(names.filter((n) => n !== undefined));
}

/** What a program of the README or of a page imports has to be installed for it to run. */
function namesInTexts({ readme = "", pages }: Package): string[] {
  const codes = [readme, ...pages.map(({ text }) => text)].flatMap((text) =>
    programsOf(text, "").map(({ code }) => code),
  );
  return codes.flatMap((code) => [...code.matchAll(/ from "([^"]+)"/g)].map(([, name]) => packageOf(name ?? "") ?? ""));
}

/** A peer that one can do without: a name that is loaded where it is there. */
function isOptional({ manifest }: Package, peer: string): boolean {
  return manifest.peerDependenciesMeta?.[peer]?.optional === true;
}

function peersUnavailable(pack: Package): string[] {
  const { name, manifest } = pack;
  return Object.keys(manifest.peerDependencies ?? {})
    .filter((peer) => !Object.hasOwn(manifest.devDependencies ?? {}, peer) && !isOptional(pack, peer))
    .map((peer) => `${name} has the peer ${peer}, which its tests cannot load: add it to devDependencies`);
}

// tap in one file, which a test loads in a quarter of the time.
const aliases: Readonly<Record<string, string>> = { tap: "@steward/tap" };

/** One version of everything: ours from the workspace, others from the catalog. Only peers name a range. */
function ownVersions({ name, manifest }: Package): string[] {
  const fixed = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
  return Object.entries(fixed).flatMap(([dependency, version]) => {
    const alias = aliases[dependency];
    const external = alias === undefined || alias === name ? "catalog:" : `workspace:${alias}@*`;
    const wanted = dependency.startsWith("@steward/") ? "workspace:^" : external;
    return version === wanted ? [] : [`${name}: ${dependency} is "${version}", not "${wanted}"`];
  });
}
