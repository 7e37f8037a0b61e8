#!/usr/bin/env node
// npm create steward <folder>
import { join } from "node:path";
import { parseArgs } from "node:util";
import { create } from "./create.ts";

const USAGE = "usage: npm create steward <folder>";

try {
  const { values, positionals } = parseArgs({
    options: { help: { type: "boolean", short: "h" } },
    allowPositionals: true,
  });
  const [folder, ...rest] = positionals;
  if (values.help === true) process.stdout.write(`${USAGE}\n`);
  else if (folder === undefined || rest.length > 0) fail(USAGE, 2);
  else process.stdout.write(`${create(folder, join(import.meta.dirname, "template"))}\n`);
} catch (error) {
  const isUsage = String((error as { code?: unknown }).code).startsWith("ERR_PARSE_ARGS");
  fail(`create-steward: ${(error as Error).message}${isUsage ? `\n${USAGE}` : ""}`, isUsage ? 2 : 1);
}

function fail(text: string, code: number): void {
  process.stderr.write(`${text}\n`);
  process.exitCode = code;
}
