import { join } from "node:path";
import { run } from "./child.mjs";
import { benches, ensureInstalled } from "./install.mjs";
import { explain } from "./problem.mjs";
import { build } from "./turbo.mjs";
import { packages, root } from "./workspace.mjs";

/** Runs the script `name` of whichever packages have one, after building them. */
export async function main(args, name) {
  const having = packages().filter((p) => p.manifest.scripts?.[name]);
  if (having.length === 0) explain(`no package has a script "${name}" yet`);
  await ensureInstalled(having.some((p) => p.name === benches) ? "all" : "tests");
  for (const { name: packageName, directory } of having) {
    const built = await build([packageName]);
    if (built !== 0) return built;
    const { code } = await run(join(root, "node_modules/.bin/pnpm"), ["run", name, ...args], { cwd: directory });
    if (code !== 0) return code;
  }
  return 0;
}
