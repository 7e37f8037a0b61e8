import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Package } from "../workspace.ts";

/** The parts of the root's package.json that every published package repeats. */
export interface RootManifest {
  readonly author: string;
  readonly license: string;
  readonly repository: { readonly type: string; readonly url: string };
  readonly engines: Readonly<Record<string, string>>;
}

/** Stands for the owner of the repository until there is one; nothing is published with it. */
export const PLACEHOLDER = "OWNER";

export function readRoot(root: string): Partial<RootManifest> {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Partial<RootManifest>; // what is missing is reported
}

/** What a published package says as all others do, made of the root's package.json and of its folder. */
export function sharedFields(
  { author, license, repository, engines }: RootManifest,
  { group, short }: Pick<Package, "group" | "short">,
): Readonly<Record<string, unknown>> {
  const page = repository.url.replace(/^git\+/, "").replace(/\.git$/, "");
  const directory = `${group}/${short}`;
  return {
    homepage: `${page}/tree/main/${directory}#readme`,
    bugs: { url: `${page}/issues` },
    license,
    author,
    repository: { ...repository, directory },
    publishConfig: { access: "public", provenance: true },
    engines,
  };
}
