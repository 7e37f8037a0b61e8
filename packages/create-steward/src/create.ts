import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";

/** What may be in a folder that counts as empty. */
const IGNORED: readonly string[] = [".git", ".DS_Store"];

/** npm takes a `.gitignore` out of a package, so it has another name in there. */
const RENAMED: Readonly<Record<string, string>> = { gitignore: ".gitignore" };

/** Writes the app into a folder that is empty or not there yet, and returns what to do next. */
export function create(folder: string, template: string): string {
  const target = resolve(folder);
  const name = basename(target);
  if (!/^[a-z0-9][a-z0-9._-]*$/.test(name))
    throw new Error(`"${name}" is no name of a package: use small letters, digits, "-", "." and "_"`);
  const inTheWay = existsSync(target) ? readdirSync(target).filter((entry) => !IGNORED.includes(entry)) : [];
  if (inTheWay.length > 0)
    throw new Error(`${folder} is not empty (${inTheWay.slice(0, 3).join(", ")}); name a new folder`);
  const files = readdirSync(template, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(template, join(entry.parentPath, entry.name)))
    .sort();
  for (const file of files) {
    const path = join(target, dirname(file), RENAMED[basename(file)] ?? basename(file));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, readFileSync(join(template, file), "utf8").replaceAll("{{name}}", name));
  }
  const here = relative(process.cwd(), target);
  return [
    `Made ${name}: ${files.length} files. Next:`,
    ...(here === "" ? [] : [`  cd ${here}`]),
    "  npm install",
    "  npm test",
    "  npm run build && npm start",
  ].join("\n");
}
