import { existsSync } from "node:fs";
import { join } from "node:path";
import { count, sawNothing, type Check } from "../check.ts";
import { libraries, type Package } from "../workspace.ts";
import { readRoot, sharedFields, type RootManifest } from "./shared.ts";

/** A package.json, whatever stands in it. */
type Fields = Readonly<Record<string, unknown>>;

const LEAST_KEYWORDS = 3;

/** What npm, provenance and tools want to know of a package stands in its package.json, and is the same everywhere. */
export const published: Check = {
  name: "metadata of published packages",
  run(workspace) {
    const packs = libraries(workspace);
    const root = existsSync(join(workspace.root, "package.json")) ? readRoot(workspace.root) : {};
    const missing = ["author", "license", "repository", "engines"].filter((field) => !Object.hasOwn(root, field));
    const shared = missing.length === 0 ? (root as RootManifest) : undefined; // nothing of it is missing
    return {
      saw: count(packs.length, "package"),
      problems: [
        ...sawNothing(packs.length, "library"),
        ...missing.map((field) => `package.json of the root has no ${field}, which all packages repeat`),
        ...packs.flatMap((pack) => [
          ...(shared === undefined ? [] : sharedProblems(shared, pack)),
          ...ownProblems(pack),
        ]),
        ...versionProblems(packs),
      ],
    };
  },
};

function sharedProblems(root: RootManifest, pack: Package): string[] {
  const fields = fieldsOf(pack);
  return Object.entries(sharedFields(root, pack))
    .filter(([name, value]) => JSON.stringify(fields[name]) !== JSON.stringify(value))
    .map(([name]) => `${pack.name}: ${name} is not what the root's package.json says; run npm run metadata`);
}

function ownProblems(pack: Package): string[] {
  const fields = fieldsOf(pack);
  const { description, keywords, files, sideEffects, type, exports, bin } = fields;
  const listed = Array.isArray(files) ? (files as readonly unknown[]) : [];
  const problems = [
    ...(typeof description === "string" && description.length > 20 ? [] : ["has no description"]),
    ...(Array.isArray(keywords) && keywords.length >= LEAST_KEYWORDS && new Set(keywords).size === keywords.length
      ? []
      : [`needs ${LEAST_KEYWORDS} different keywords or more`]),
    ...["README.md", "CHANGELOG.md"]
      .filter((file) => !listed.includes(file))
      .map((file) => `files does not list ${file}`),
    ...(type === "module" ? [] : ["type is not module"]),
    ...(sideEffects === false || exports === undefined ? [] : ["does not say sideEffects: false"]),
    ...(exports === undefined && bin === undefined ? ["has neither exports nor bin"] : exportProblems(exports)),
  ];
  return problems.map((problem) => `${pack.name}: ${problem}`);
}

/** Every entry point has types, which stand first, because the first condition that fits is taken. */
function exportProblems(exports: unknown): string[] {
  if (exports === undefined) return [];
  const entries = Object.entries(exports as Fields);
  return [
    ...entries
      .filter(([path]) => path !== "./package.json")
      .filter(([, entry]) => Object.keys((entry ?? {}) as Fields).join() !== "types,default")
      .map(([path]) => `exports "${path}" does not say types, then default`),
    ...(entries.some(([path]) => path === "./package.json") ? [] : [`exports does not list "./package.json"`]),
  ];
}

/** They are released together. */
function versionProblems(packs: readonly Package[]): string[] {
  const versions = new Map(packs.map((pack) => [fieldsOf(pack)["version"], pack.name]));
  return versions.size <= 1
    ? []
    : [`packages have one version, and these do not: ${[...versions.values()].join(", ")}`];
}

function fieldsOf({ manifest }: Package): Fields {
  return manifest as unknown as Fields; // the type names only what other checks read
}
