import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import t from "tap";

const program = fileURLToPath(new URL("end.js", import.meta.url));

async function outputOf(end: string): Promise<Record<string, unknown>[]> {
  const child = spawn(process.execPath, [program, end], { stdio: ["ignore", "pipe", "ignore"] });
  const [written] = await Promise.all([text(child.stdout), once(child, "exit")]);
  return written
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>); // pino writes objects
}

for (const end of ["exit", "error", "SIGTERM"])
  t.test(`100 lines before an end by ${end} are 100 lines`, async (t) => {
    const lines = await outputOf(end);
    t.same(
      lines.map(({ line }) => line),
      Array.from({ length: 100 }, (_, i) => i),
    );
  });

t.test("an exit writes the count of a storm", async (t) => {
  const lines = await outputOf("storm");
  t.match(lines.at(-1), { msg: "equal", repeated: 20 });
});
