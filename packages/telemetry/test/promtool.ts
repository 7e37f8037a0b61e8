import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** The promtool on PATH, or `undefined`. */
function findPromtool(): string | undefined {
  const paths = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "promtool"));
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Why tests of rules are skipped here, or `false`. With `CI=true` they are not: there they fail. */
export const skip: string | false =
  findPromtool() !== undefined || process.env["CI"] === "true"
    ? false
    : "skipped: no promtool here (it comes with Prometheus)";

/** Gives promtool a file, and resolves with its exit code and all it said. JSON is YAML. */
export async function promtool(
  args: readonly string[],
  content: string,
): Promise<{ readonly code: number; readonly output: string }> {
  const folder = await mkdtemp(join(tmpdir(), "steward-promtool-"));
  const file = join(folder, "given.yml");
  try {
    await writeFile(file, content);
    return await new Promise((resolve) => {
      execFile("promtool", [...args, file], (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}${stderr}` }),
      );
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
