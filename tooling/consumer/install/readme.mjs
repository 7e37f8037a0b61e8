import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

export { firstProgram, installLine } from "../../checks/dist/readme/install.js";

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
