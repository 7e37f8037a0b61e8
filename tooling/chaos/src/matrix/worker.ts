// A process of its own: drills the faults of one driver and sends the figures to its parent.
import type { Backend, DriverName } from "../drivers/driver.ts";
import { launchBackend } from "../drivers/index.ts";
import { SentinelBackend } from "../drivers/redis.ts";
import { drill, type Pace } from "./cell.ts";
import { FAULTS } from "./faults.ts";

const [driver, wanted, given] = process.argv.slice(2) as [DriverName, string, string]; // of the parent
const names = wanted.split(";");
const pace = JSON.parse(given) as Pace;

// Raw drivers leave rejections behind that no caller can catch.
let stray = 0;
process.on("unhandledRejection", () => void (stray += 1));
process.on("uncaughtException", (error) => {
  stray += 1;
  console.error(`  ${driver}: uncaught ${error.message}`);
});

let backend: Backend | undefined;
for (const fault of FAULTS) {
  if (!names.includes(fault.name) || (fault.only ?? driver) !== driver) continue;
  console.error(`  ${driver}: ${fault.name}`);
  const own = fault.sentinel === true ? await SentinelBackend.launch() : undefined;
  const figures = await drill(driver, fault, own ?? (backend ??= await launchBackend(driver)), pace);
  await own?.stop();
  process.send?.(figures);
}
await backend?.stop();
if (stray > 0) console.error(`  ${driver}: ${stray} errors that no caller could catch`);
process.exit(0);
