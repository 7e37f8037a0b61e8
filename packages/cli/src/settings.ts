import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import type { Container } from "@steward/container";
import { definitionsHeld } from "@steward/container/framework";
import { isDefinition, type AnyDefinition } from "@steward/core/container";
import type { LoadedModule } from "./module.ts";

/** What is asked of `@steward/config`. */
interface ConfigPackage {
  isConfig(definition: AnyDefinition): boolean;
  runConfigCommand(
    definition: AnyDefinition,
    args: readonly string[],
    options: { write(text: string): void; writeError(text: string): void },
  ): Promise<number>;
}

/** What a command of `@steward/config` gave: 0 when all is right, 1 when something is wrong, 2 when there is no such command. */
export interface SettingsReport {
  readonly code: number;
  readonly text: string;
}

/** Reads every settings of a module as a start would, without starting anything: `check`, or another command of `@steward/config`. */
export async function checkSettings(
  module: LoadedModule,
  app: Container<never> | undefined,
  command: readonly string[] = ["check"],
): Promise<SettingsReport[]> {
  const config = await configPackage(module.file);
  if (config === undefined) return [];
  const exported = Object.values(module.exports).filter(isDefinition);
  const held = app === undefined ? [] : definitionsHeld(app);
  const settings = [...new Set([...exported, ...held])].filter((definition) => config.isConfig(definition));
  const reports: SettingsReport[] = [];
  for (const definition of settings) {
    const lines: string[] = [];
    const write = (text: string): void => void lines.push(text);
    const code = await config.runConfigCommand(definition, command, { write, writeError: write });
    reports.push({ code, text: lines.join("\n") });
  }
  return reports;
}

/** The copy that the app itself uses: a definition is known to the copy alone that made it. */
async function configPackage(file: string): Promise<ConfigPackage | undefined> {
  let path;
  try {
    path = createRequire(file).resolve("@steward/config");
  } catch {
    return undefined;
  }
  return (await import(pathToFileURL(path).href)) as ConfigPackage; // of the name that was resolved
}
