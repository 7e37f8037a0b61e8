import { existsSync } from "node:fs";
import type { ResolveHook } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

let checkout = "";

/** @param folder of the checkout that packages come from. */
export function initialize(folder: string): void {
  checkout = folder;
}

/** A package finds itself by its own name and exports, so it is looked up from its own folder. */
export const resolve: ResolveHook = (specifier, context, next) => {
  const name = /^@steward\/([^/]+)/.exec(specifier)?.[1];
  const manifest = join(checkout, "packages", name ?? "", "package.json");
  if (name === undefined || !existsSync(manifest)) return next(specifier, context);
  return next(specifier, { ...context, parentURL: pathToFileURL(manifest).href });
};
