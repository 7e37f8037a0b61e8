import { dirname, join } from "node:path/posix";
import { count, sawNothing, type Check } from "./check.ts";
import { importsOf, packageOf, type Import } from "./imports.ts";
import { libraries, type Package, type SourceFile, type Workspace } from "./workspace.ts";

const scope = "@steward/";

// Whom the sources of a package may import. Every package not named here is a driver.
const directions: Readonly<Record<string, readonly string[]>> = {
  core: [],
  server: ["core", "container"],
  fastify: ["core", "container", "server"],
  express: ["core", "container", "server"],
  hono: ["core", "container", "server"],
  nest: ["core", "container", "server"],
  // It draws graphs as the page of the dashboard does.
  cli: ["core", "container", "dashboard"],
  // Its gRPC side stands on the channels and servers that are looked after there, as an optional peer.
  models: ["core", "grpc"],
};
const driver: readonly string[] = ["core"];

// Whom its tests may import besides. The tests of core and testing stay below them, or the build order would loop.
const testDirections: Readonly<Record<string, readonly string[]>> = {
  core: [],
  testing: [],
  launchers: ["testing"],
  container: ["testing", "launchers"],
  // A hub that reaches over instances is shown with the broker it is made for, and inside the server it is made for.
  websocket: ["testing", "launchers", "container", "redis", "fastify"],
  // The fence of a cache is shown on the server that keeps it, through the ports that it is made for.
  cache: ["testing", "launchers", "container", "redis", "server"],
  // Tokens and passwords are shown with the keys, hashes and limits that they are made for, and on a route.
  auth: ["testing", "launchers", "container", "crypto", "rate-limit", "redis", "server"],
  // Counted in the Redis that it is made for, and asked by the routes that it is made for.
  "rate-limit": ["testing", "launchers", "container", "redis", "server"],
  // The engine of models is installed apart, because it is large.
  models: ["testing", "container", "onnx", "grpc"],
  // What it exports is run by the engine that it is for.
  training: ["testing", "container", "onnx"],
  // An audit log is shown in the transactions of the database that it is made for.
  logging: ["testing", "launchers", "container", "database"],
  // What a page shows of a server that is killed, and of trainings, is shown with real ones.
  dashboard: ["testing", "launchers", "container", "redis", "training"],
  // It checks the settings of an app.
  cli: ["config"],
};
const driverTests: readonly string[] = ["testing", "launchers", "container"];

/** The packages of ours that `short` may import in its sources. */
export function allowedImports(short: string): readonly string[] {
  return directions[short] ?? driver;
}

/** Packages import only downwards, only through what `exports` offers, and never out of their own folder. */
export const importDirection: Check = {
  name: "import direction",
  run(workspace) {
    const problems: string[] = [];
    let seen = 0;
    for (const pack of workspace.packages) {
      for (const file of [...pack.sources, ...pack.tests, ...pack.configs]) {
        const found = importsOf(file);
        seen += found.length;
        for (const item of found) problems.push(...problemsOf(workspace, pack, file, item));
      }
    }
    const libs = libraries(workspace).length;
    return {
      saw: `${count(seen, "import")} in ${count(workspace.packages.length, "package")}, ${libs} of them libraries`,
      problems: [...sawNothing(libs, "library"), ...sawNothing(seen, "import"), ...problems],
    };
  },
};

function problemsOf(workspace: Workspace, pack: Package, file: SourceFile, item: Import): string[] {
  const { specifier, at } = item;
  if (specifier.startsWith(".")) return relativeProblems(pack, file, item);
  const target = packageOf(specifier);
  if (target === undefined || !target.startsWith(scope)) return [];
  const owner = workspace.packages.find((p) => p.name === target);
  if (owner === undefined) return [`${at}: there is no package ${target}`];
  const problems: string[] = [];
  const subpath = `.${specifier.slice(target.length)}`;
  if (!Object.hasOwn(owner.manifest.exports ?? {}, subpath)) {
    problems.push(`${at}: deep import of ${specifier}: ${target} does not export "${subpath}"`);
  }
  if (!mayImport(pack, file, owner, subpath)) problems.push(`${at}: ${pack.name} may not import ${specifier}`);
  return problems;
}

function mayImport(pack: Package, file: SourceFile, owner: Package, subpath: string): boolean {
  const inTest = pack.tests.includes(file);
  if (owner === pack) return inTest;
  // A browser for tests, which itself needs no package of ours.
  if (inTest && owner.short === "harness" && subpath === "./browser") return true;
  if (pack.group === "tooling") return true;
  if (pack.group === "apps") return owner.short !== "testing" || inTest;
  const allowed = [...allowedImports(pack.short)];
  if (inTest) allowed.push(...(testDirections[pack.short] ?? driverTests));
  // What a driver offers to its users' tests may start a real server.
  if (file.path.endsWith("/src/testing.ts")) allowed.push("testing", "launchers");
  return allowed.includes(owner.short);
}

function relativeProblems(pack: Package, file: SourceFile, { specifier, at }: Import): string[] {
  const target = join(dirname(file.path), specifier);
  const home = pack.group === "tooling" ? "tooling/" : `${pack.group}/${pack.short}/`;
  if (!target.startsWith(home)) return [`${at}: ${specifier} leaves the package`];
  if (pack.sources.includes(file) && !target.startsWith(`${home}src/`) && pack.group === "packages") {
    return [`${at}: ${specifier} leaves src, which alone is published`];
  }
  return [];
}
