// Writes 100 lines, and ends as its argument says.
import { LoggerManager } from "../../src/index.ts";

const manager = await new LoggerManager({ listen: [] }).start();
const end = process.argv[2];
for (let i = 0; i < 100; i++) manager.client.warn({ line: i }, "x".repeat(2_000));
if (end === "exit") process.exit(0);
if (end === "error") throw new Error("nothing handles it");
if (end === "storm") {
  for (let i = 0; i < 30; i++) manager.client.error("equal");
  process.exit(0);
}
process.kill(process.pid, "SIGTERM");
setInterval(() => {}, 1_000);
