// Runs the compiled tests of the package in the working directory with tap and counts the cases.
import { run } from "./suite.mjs";

process.exitCode = await run(process.cwd(), process.argv.slice(2));
