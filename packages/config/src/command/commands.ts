import { isStewardError, systemClock } from "@steward/core";
import { specOf, type AnyDefinition } from "@steward/core/container";
import { anything, assertShape, describeError, func, nearest, recordOf, shape, type Shape } from "@steward/core/driver";
import { ConfigManager } from "../manager.ts";
import type { ConfigOptions } from "../options.ts";
import { configOf } from "../settings/definition.ts";
import { explanationText } from "../settings/explain.ts";
import { exampleOf } from "./example.ts";
import { jsonSchemaOf } from "./json-schema.ts";

/** How a command is run. */
export interface CommandOptions {
  /** What the sources need, by the names of the needs. Default: `environment` is that of the process. */
  readonly needs?: Readonly<Record<string, unknown>> | undefined;
  /** Where the result is written. Default: to stdout. */
  readonly write?: ((text: string) => void) | undefined;
  /** Where problems are written. Default: to stderr. */
  readonly writeError?: ((text: string) => void) | undefined;
}

const commandShape: Shape<CommandOptions> = /* @__PURE__ */ shape<CommandOptions>(() => ({
  needs: recordOf(anything()),
  write: func(),
  writeError: func(),
}));

const USAGE = `usage: check            says everything that is wrong, and exits with 1 where something is
       explain [path]   says where each setting comes from
       example          prints a .env.example
       schema           prints a JSON Schema, for editors`;

const COMMANDS = ["check", "explain", "example", "schema"] as const;

/**
 * Runs one of the commands `check`, `explain [path]`, `example` and `schema` for a definition, and gives the exit code.
 * Nothing of it shows a secret.
 *
 * @example
 * ```ts
 * import { config, env, port, runConfigCommand } from "@steward/config";
 * import * as v from "valibot";
 * const settings = config("settings", {
 *   schema: v.strictObject({ port: v.optional(port(), 3000) }),
 *   sources: [env({}, { prefix: "CLIPS_" })],
 * });
 * console.log(await runConfigCommand(settings, ["explain", "port"])); // => port = 3000
 * // =>   from default
 * // => 0
 * ```
 */
export async function runConfigCommand(
  definition: AnyDefinition,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<number> {
  assertShape("runConfigCommand", commandShape, options);
  const { needs = {}, write = toStdout, writeError = toStderr } = options;
  const [command = "check", path, ...rest] = args;
  const known = COMMANDS.find((name) => name === command);
  if (known === undefined || rest.length > 0 || (path !== undefined && known !== "explain")) {
    const near = known === undefined ? nearest(command, COMMANDS) : undefined;
    writeError(`${near === undefined ? "" : `did you mean "${near}"?\n`}${USAGE}`);
    return 2;
  }
  try {
    write(await run(definition, known, path, needs));
    return 0;
  } catch (error) {
    writeError(isStewardError(error) ? `${error.code}: ${error.message}` : describeError(error));
    return 1;
  }
}

async function run(
  definition: AnyDefinition,
  command: (typeof COMMANDS)[number],
  path: string | undefined,
  given: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { model, sources, needs } = configOf(definition);
  if (command === "schema") return JSON.stringify(jsonSchemaOf(model.root), undefined, 2);
  const values = { environment: process.env, ...given };
  const missing = Object.keys(needs).filter((name) => !(name in values));
  if (missing.length > 0)
    throw new Error(
      `the sources of "${definition.name}" need ${missing.join(", ")}; call runConfigCommand(settings, args, { needs }) with them`,
    );
  if (command === "example") return exampleOf(model, sources(values));
  const options = specOf(definition).managed?.prepare(values) as ConfigOptions; // `config` has made it
  await using manager = await new ConfigManager(
    { ...options, watch: false },
    { name: definition.name, clock: systemClock },
  ).start();
  if (command === "explain") return explanationText(manager.explain(path));
  const { sources: read } = manager.stats();
  const keys = read.reduce((sum, one) => sum + one.keys, 0);
  return `${definition.name} is right: ${keys} values from ${read.map(({ name }) => name).join(", ")}`;
}

function toStdout(text: string): void {
  process.stdout.write(`${text}\n`);
}

function toStderr(text: string): void {
  process.stderr.write(`${text}\n`);
}
