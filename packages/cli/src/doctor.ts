import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { isStewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";
import type { FoundContainer, LoadedModule } from "./module.ts";
import { orderText, startOrder } from "./order.ts";
import { checkSettings } from "./settings.ts";

/** The parts of a package.json that are looked at. */
interface Manifest {
  readonly version?: string;
  readonly private?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

/** One thing that was looked at. */
interface Finding {
  readonly isRight: boolean;
  readonly text: string;
}

/** What is wrong with an app before anything of it starts, and what would start in which order. */
export async function doctor(module: LoadedModule, { name, app }: FoundContainer): Promise<Finding> {
  const graph = graphFinding(name, app);
  const settings = await checkSettings(module, graph.isRight ? app : undefined);
  const read = settings.map(({ code, text }) => ({ isRight: code === 0, text }));
  const findings = [graph, ...read, ...packageFindings(module.file)];
  const wrong = findings.filter(({ isRight }) => !isRight).length;
  const lines = findings.map(({ isRight, text }) => `${isRight ? "ok   " : "WRONG"} ${text}`);
  const order = graph.isRight ? [orderText(startOrder(app, app.graph())), ""] : [];
  const sum = wrong === 0 ? "nothing is wrong" : `${wrong} of ${findings.length} findings are wrong`;
  return { isRight: wrong === 0, text: [...order, ...lines, sum].join("\n") };
}

function graphFinding(name: string, app: FoundContainer["app"]): Finding {
  try {
    return { isRight: true, text: `the graph of ${name}: ${app.graph().nodes.length} resources` };
  } catch (error) {
    return { isRight: false, text: `the graph of ${name}: ${describeCoded(error)}` };
  }
}

/** An error with its code in front. */
export function describeCoded(error: unknown): string {
  return isStewardError(error) ? `${error.code}: ${error.message}` : describeError(error);
}

/** Our packages have one version, and each finds its driver. */
function packageFindings(file: string): Finding[] {
  const top = manifestAbove(dirname(file));
  if (top === undefined) return [];
  const { dependencies, devDependencies } = top.manifest;
  const ours = Object.keys({ ...dependencies, ...devDependencies }).filter((name) => name.startsWith("@steward/"));
  const installed = ours.flatMap((name) => {
    const folder = folderOf(top.folder, name);
    if (folder === undefined) return [];
    const manifest = readManifest(folder);
    // What is private belongs to a workspace, and was never published in one version with the others.
    return manifest.private === true ? [] : [{ name, folder, manifest }];
  });
  if (installed.length === 0) return [];
  return [
    versionFinding(installed.map(({ name, manifest: { version = "none" } }) => ({ name, version }))),
    ...installed.flatMap(({ name, folder, manifest }) => missingPeers(name, folder, manifest)),
  ];
}

function versionFinding(installed: readonly { readonly name: string; readonly version: string }[]): Finding {
  const versions = new Map<string, string[]>();
  for (const { name, version } of installed) versions.set(version, [...(versions.get(version) ?? []), name]);
  const [[version] = []] = [...versions];
  if (versions.size === 1)
    return { isRight: true, text: `${installed.length} packages of Steward, all of version ${version}` };
  const listed = [...versions].map(([each, names]) => `${each} (${names.join(", ")})`).join(" and ");
  return {
    isRight: false,
    text: `packages of Steward have one version, and these have ${listed}: install the same of all`,
  };
}

function missingPeers(
  name: string,
  folder: string,
  { peerDependencies = {}, peerDependenciesMeta = {} }: Manifest,
): Finding[] {
  return Object.entries(peerDependencies)
    .filter(([peer]) => peerDependenciesMeta[peer]?.optional !== true && folderOf(folder, peer) === undefined)
    .map(([peer, range]) => ({ isRight: false, text: `${name} needs ${peer} ${range}: npm install ${peer}` }));
}

function manifestAbove(folder: string): { readonly folder: string; readonly manifest: Manifest } | undefined {
  if (existsSync(join(folder, "package.json"))) return { folder, manifest: readManifest(folder) };
  const parent = dirname(folder);
  return parent === folder ? undefined : manifestAbove(parent);
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest; // what is missing in it is looked for
}

/** Where Node would find a package, whatever that exports. */
function folderOf(from: string, name: string): string | undefined {
  const places = createRequire(join(from, "package.json")).resolve.paths(name) ?? [];
  return places.map((place) => join(place, name)).find((folder) => existsSync(join(folder, "package.json")));
}
