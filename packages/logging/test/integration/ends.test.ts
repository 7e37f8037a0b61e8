import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import t from "tap";

const program = fileURLToPath(new URL("programs/end.js", import.meta.url));

interface Output {
  readonly lines: readonly Record<string, unknown>[];
  readonly signal: unknown;
}

async function outputOf(end: string, mode: string): Promise<Output> {
  const child = spawn(process.execPath, [program, end, mode], { stdio: ["ignore", "pipe", "ignore"] });
  const [written, [, signal]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  const lines = written
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>); // pino writes objects
  return { lines, signal };
}

for (const mode of ["each at once", "buffered"])
  for (const end of ["exit", "error", "rejection", "SIGTERM", "SIGINT", "SIGHUP", "handled", "fatal"])
    t.test(`100 lines before an end by ${end} are 100 lines, ${mode}`, async (t) => {
      const { lines, signal } = await outputOf(end, mode);
      t.same(
        lines.slice(0, 100).map(({ line }) => line),
        Array.from({ length: 100 }, (_, i) => i),
      );
      if (end === "handled") t.equal(lines.at(-1)?.["msg"], "handled");
      if (end === "fatal") t.equal(lines.at(-1)?.["msg"], "the last one", "a fatal line goes out with all before it");
      if (end.startsWith("SIG")) t.equal(signal, end, "it ends as it would without a log");
    });

t.test("an exit writes the count of a storm", async (t) => {
  const { lines } = await outputOf("storm", "buffered");
  t.match(lines.at(-1), { msg: "equal", repeated: 20 });
});
