// A process of its own: drills one driver and sends what it found to its parent.
import type { DriverName } from "../drivers/driver.ts";
import { runDrills } from "./drills.ts";

const [driver, names] = process.argv.slice(2) as [DriverName, string]; // of the parent
// Raw drivers leave rejections behind that no caller can catch.
process.on("unhandledRejection", () => {});
const found = await runDrills(driver, names.split(";"), (what) => console.error(`  ${what}`));
process.send?.(found, () => process.exit(0));
