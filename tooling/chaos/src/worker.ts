// A process of its own: node worker.js matrix|drills|detection <driver> <names> <span>. Sends what it found to its parent.
import type { Backend, DriverName } from "./drivers/driver.ts";
import { launchBackend } from "./drivers/launch.ts";
import { SentinelBackend } from "./drivers/redis.ts";
import { DRILLS } from "./drills/drills.ts";
import { noticed } from "./detection.ts";
import { drill, type Span } from "./matrix/cell.ts";
import { FAULTS, isFor } from "./matrix/faults.ts";

const [task, driver, wanted, given] = process.argv.slice(2) as [string, DriverName, string, string]; // of the parent
const names = wanted.split(";");

// Raw drivers leave rejections and errors behind that no caller can catch.
let stray = 0;
process.on("unhandledRejection", () => void (stray += 1));
process.on("uncaughtException", (error) => {
  stray += 1;
  console.error(`  ${driver}: uncaught ${error.message}`);
});

async function matrix(backend: () => Promise<Backend>): Promise<void> {
  const span = JSON.parse(given) as Span; // of the parent
  for (const fault of FAULTS) {
    if (!names.includes(fault.name) || !isFor(fault, driver)) continue;
    console.error(`  ${driver}: ${fault.name}`);
    const own = fault.sentinel === true ? await SentinelBackend.launch() : undefined;
    process.send?.(await drill(driver, fault, own ?? (await backend()), span));
    await own?.stop();
  }
}

async function drills(backend: () => Promise<Backend>): Promise<void> {
  for (const name of names) {
    const one = DRILLS[name];
    if (one === undefined || one.only?.includes(driver) === false) continue;
    console.error(`  ${driver}: ${name}`);
    process.send?.(await one.run(driver, await backend()));
  }
}

let launched: Promise<Backend> | undefined;
const backend = (): Promise<Backend> => (launched ??= launchBackend(driver));
if (task === "matrix") await matrix(backend);
else if (task === "drills") await drills(backend);
else process.send?.(await noticed(driver, (await backend()).url ?? ""));
await (await launched)?.stop();
if (stray > 0) console.error(`  ${driver}: ${stray} errors that no caller could catch`);
process.exit(0);
