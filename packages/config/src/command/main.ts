#!/usr/bin/env node
// steward-config <module> [check | explain [path] | example | schema]
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isDefinition, type AnyDefinition } from "@steward/core/container";
import { describeError } from "@steward/core/driver";
import { isConfig } from "../settings/definition.ts";
import { runConfigCommand } from "./commands.ts";

const [file, ...args] = process.argv.slice(2);
process.exitCode = file === undefined ? usage() : await run(file);

function usage(): number {
  process.stderr.write(
    "usage: steward-config <module that exports a config(...)> [check | explain [path] | example | schema]\n",
  );
  return 2;
}

async function run(path: string): Promise<number> {
  try {
    const exported: Readonly<Record<string, unknown>> = await import(pathToFileURL(resolve(path)).href);
    const found = Object.values(exported).filter(
      (value): value is AnyDefinition => isDefinition(value) && isConfig(value),
    );
    const [definition, ...others] = new Set(found);
    if (definition !== undefined && others.length === 0) return await runConfigCommand(definition, args);
    process.stderr.write(`${path} exports ${found.length} definitions of config(...); it has to export one\n`);
  } catch (error) {
    process.stderr.write(`${path} cannot be loaded: ${describeError(error)}\n`);
  }
  return 2;
}
