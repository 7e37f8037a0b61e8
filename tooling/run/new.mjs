import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "./child.mjs";
import { updateLockFile } from "./install.mjs";
import { explain } from "./problem.mjs";
import { readJson, root } from "./workspace.mjs";

/** Makes a driver package from the template: a working one, with every file that the checks ask for. */
export async function main([name, ...rest]) {
  if (name === undefined || rest.length > 0) explain("say one name: npm run new kafka");
  const folder = join(root, "packages", name);
  if (existsSync(folder)) explain(`packages/${name} exists already`);
  for (const file of render(name, folder)) console.log(`  packages/${name}/${file}`);
  await updateLockFile();
  // Lines break elsewhere where a name is shorter or longer than the template's.
  await run("oxfmt", [`packages/${name}`], { quiet: true });
  console.log(`Next: npm run dev ${name}, then put the real client into src/connection.ts and src/client.ts`);
  return 0;
}

// One pass, so that a name with "sample" in it is not replaced again. Where the name is a text, it stays as given.
const placeholder = /(?<as>@steward\/|packages\/|kind: "|super\(")sample|SAMPLE|Sample|sample/g;

/** Writes the template for `name` into `folder`, and returns the paths it wrote. */
export function render(name, folder) {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name))
    explain(`"${name}" is no package name: use small letters, digits and -`);
  const words = name.split("-");
  const pascal = words.map((w) => w[0].toUpperCase() + w.slice(1)).join("");
  const camel = pascal[0].toLowerCase() + pascal.slice(1);
  const names = { SAMPLE: words.join("_").toUpperCase(), Sample: pascal, sample: camel };
  const template = join(root, "tooling/template/driver");
  const { version } = readJson(join(root, "packages/core/package.json")); // all packages have one
  const files = readdirSync(template, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(template.length + 1));
  for (const file of files) {
    const text = readFileSync(join(template, file), "utf8").replaceAll(placeholder, (found, as) =>
      as === undefined ? names[found] : `${as}${name}`,
    );
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    const isManifest = file === "package.json";
    writeFileSync(
      join(folder, file),
      isManifest ? text.replace(/"version": "[^"]*"/, `"version": "${version}"`) : text,
    );
  }
  return files.sort();
}
