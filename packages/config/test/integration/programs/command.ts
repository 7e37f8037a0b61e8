// A command for the settings of the app beside it.
import { runConfigCommand } from "../../../src/index.ts";
import { settings } from "./app.ts";

process.exitCode = await runConfigCommand(settings, process.argv.slice(2));
