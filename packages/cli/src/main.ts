#!/usr/bin/env node
// steward explain | graph | doctor | check-config <module>
import { runCli } from "./run.ts";

process.exitCode = await runCli(process.argv.slice(2));
// A module that opens something when it is loaded would keep the command from ending.
process.stdout.write("", () => process.exit());
