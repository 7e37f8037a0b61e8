import { join } from "node:path";
import { run } from "./child.mjs";
import { ensureInstalled } from "./install.mjs";
import { explain } from "./problem.mjs";
import { build } from "./turbo.mjs";
import { root } from "./workspace.mjs";

/** Builds the documentation, checks its links, and serves it. */
export async function main(args) {
  const unknown = args.filter((a) => a !== "--build" && a !== "--look");
  if (unknown.length > 0) explain(`docs takes --build and --look, not "${unknown.join(" ")}"`);
  await ensureInstalled("docs");
  const built = await build(["@steward/docs"]);
  if (built !== 0) return built;
  const { code } = await run(process.execPath, ["dist/main.js", ...args], { cwd: join(root, "apps/docs") });
  return code;
}
