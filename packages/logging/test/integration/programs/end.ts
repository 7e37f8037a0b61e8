// Writes 100 lines, and ends as its argument says.
import { LoggerManager } from "../../../src/index.ts";

const [end, mode] = process.argv.slice(2);
const buffered = mode === "buffered" ? { flushMs: 60_000, maxBytes: 10_000_000 } : undefined;
const manager = await new LoggerManager({ listen: [], buffered }).start();
for (let i = 0; i < 100; i++) manager.client.warn({ line: i }, "x".repeat(2_000));
if (end === "exit") process.exit(0);
if (end === "rejection") await Promise.reject(new Error("nothing handles it"));
if (end === "fatal") {
  manager.client.fatal("the last one");
  process.kill(process.pid, "SIGKILL");
}
if (end === "handled")
  process.on("SIGTERM", () => {
    manager.client.warn("handled");
    process.exit(0);
  });
if (end === "error") throw new Error("nothing handles it");
if (end === "storm") {
  for (let i = 0; i < 30; i++) manager.client.error("equal");
  process.exit(0);
}
process.kill(process.pid, end?.startsWith("SIG") === true ? end : "SIGTERM");
setInterval(() => {}, 1_000);
