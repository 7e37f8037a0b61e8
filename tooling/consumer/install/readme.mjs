import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { programsOf } from "../../checks/dist/readme/programs.js";

/** What the install line of a README asks for, with the variables in front of it. */
export function installLine(readme) {
  const from = readme.indexOf("\n## Install");
  const found = /((?:[A-Z_]+=\S+ )*)npm install ([^`\n]+)/.exec(readme.slice(Math.max(from, 0)));
  if (found === null) return undefined;
  const [, variables = "", words = ""] = found;
  return {
    names: words
      .trim()
      .split(/\s+/)
      .filter((word) => !word.startsWith("-")),
    env: Object.fromEntries(
      variables
        .trim()
        .split(" ")
        .filter(Boolean)
        .map((one) => one.split("=")),
    ),
  };
}

/** The first program that runs without a server; else the first that compiles. */
export function firstProgram(readme) {
  const programs = programsOf(readme, "README.md");
  const found = programs.find(({ runs, needs }) => runs && needs.length === 0) ?? programs[0];
  return found === undefined ? undefined : { ...found, runs: found.runs && found.needs.length === 0 };
}

/** Writes a program as TypeScript, and as the JavaScript that every Node runs. */
export async function buildProgram({ code }, folder, root, name) {
  writeFileSync(join(folder, `${name}.ts`), `${code}\nexport {};\n`);
  const { transform } = createRequire(join(root, "package.json"))("esbuild");
  const { code: built } = await transform(code, {
    loader: "ts",
    format: "esm",
    target: "node20",
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
  });
  const file = join(folder, `${name}.js`);
  writeFileSync(file, built);
  return { file };
}
