import { spawn } from "node:child_process";
import { once } from "node:events";

/** Runs a command to its end, quietly: whether it succeeded, and all that it wrote. */
export async function run(command, args, { cwd, env = {}, timeoutMs = 300_000 }) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  const late = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const [code] = await Promise.race([once(child, "close"), once(child, "error").then(([error]) => [error.message])]);
  clearTimeout(late);
  return { ok: code === 0, code, output };
}
