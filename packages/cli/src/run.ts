import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { explain } from "@steward/container";
import { isStewardError } from "@steward/core";
import { describeError, nearest, assertShape, func, shape, type Shape } from "@steward/core/driver";
import { describeCoded, doctor } from "./doctor.ts";
import { CLI_CODES, cliError } from "./errors.ts";
import { containerOf, loadModule, type FoundContainer, type LoadedModule } from "./module.ts";
import { orderText, startOrder } from "./order.ts";
import { checkSettings } from "./settings.ts";
import { graphSvg } from "./svg.ts";

/** Where a command writes. */
export interface CliOptions {
  /** Where the result is written. Default: to stdout. */
  readonly write?: ((text: string) => void) | undefined;
  /** Where problems are written. Default: to stderr. */
  readonly writeError?: ((text: string) => void) | undefined;
}

const cliShape: Shape<CliOptions> = /* @__PURE__ */ shape<CliOptions>(() => ({ write: func(), writeError: func() }));

const USAGE = `usage: steward <command> <module> [--export name]

  explain       each resource with what it needs, and what starts in which order
  graph         the graph; --format mermaid (default), svg or json
  doctor        what is wrong before anything starts, and what starts in which order
  check-config  reads the settings as a start would, and says all that is wrong;
                behind the module: explain [path] says where each comes from,
                example prints a .env.example, schema a JSON Schema

<module> is a file that exports a container, or an array of definitions: the one beside the file that runs it.
--export says which, where there are several. Nothing is started.`;

const FORMATS = ["mermaid", "svg", "json"] as const;

interface Result {
  readonly code: number;
  readonly text: string;
}

interface Values {
  readonly format: string | undefined;
}

type Command = (module: LoadedModule, found: FoundContainer, values: Values) => Result | Promise<Result>;

const COMMANDS: Readonly<Record<string, Command>> = {
  explain: (_module, { app }) => ok(`${explain(app)}\n\n${orderText(startOrder(app, app.graph()))}`),
  graph: (_module, { app }, { format }) => ok(format === "svg" ? graphSvg(app.graph()) : explain(app, known(format))),
  async doctor(module, found) {
    const { isRight, text } = await doctor(module, found);
    return { code: isRight ? 0 : 1, text };
  },
};

function ok(text: string): Result {
  return { code: 0, text };
}

/**
 * Runs the command line, `explain`, `graph`, `doctor` or `check-config` with a module, and gives the exit code: 0 when all
 * is right, 1 when something of the app is wrong, 2 when the command could not be run. Nothing of the app is started.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { runCli } from "@steward/cli";
 * const code = await runCli(["draw", "app.js"], { writeError: (text) => console.log(text) });
 * // => CLI_USAGE: there is no command "draw": explain, graph, doctor, check-config
 * console.log(code); // => 2
 * ```
 */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<number> {
  assertShape("runCli", cliShape, options);
  const { write = toStdout, writeError = toStderr } = options;
  try {
    const { code, text } = await run(args);
    write(text);
    return code;
  } catch (error) {
    writeError(describeCoded(error));
    return isStewardError(error) && error.code in CLI_CODES ? 2 : 1;
  }
}

async function run(args: readonly string[]): Promise<Result> {
  const { values, positionals } = parsed(args);
  const [command, path, ...rest] = positionals;
  if (values.version === true) return ok(ownVersion());
  if (values.help === true || command === undefined || command === "help") return ok(USAGE);
  const known = [...Object.keys(COMMANDS), "check-config"];
  if (!known.includes(command)) throw cliError("CLI_USAGE", `there is no command "${command}"${meant(command, known)}`);
  if (path === undefined) throw cliError("CLI_USAGE", `steward ${command} needs a module, such as dist/app.js`);
  if (rest.length > 0 && command !== "check-config")
    throw cliError("CLI_USAGE", `steward ${command} takes one module, not also ${rest.join(" ")}`);
  if (values.format !== undefined) assertFormat(command, values.format);
  const module = await loadModule(path);
  if (command === "check-config") return await checked(module, values.export, rest);
  const found = containerOf(module, values.export);
  return (await COMMANDS[command]?.(module, found, { format: values.format })) ?? ok("");
}

function parsed(args: readonly string[]) {
  const options = {
    export: { type: "string" },
    format: { type: "string" },
    help: { type: "boolean", short: "h" },
    version: { type: "boolean", short: "v" },
  } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    const unknown = /Unknown option '--?([^']*)'/.exec(describeError(error))?.[1];
    if (unknown === undefined) throw cliError("CLI_USAGE", describeError(error), { cause: error });
    const near = nearest(unknown, Object.keys(options));
    const hint = near === undefined ? "see steward --help" : `did you mean --${near}?`;
    throw cliError("CLI_USAGE", `there is no option --${unknown}; ${hint}`, { cause: error });
  }
}

function assertFormat(command: string, format: string): void {
  if (command !== "graph") throw cliError("CLI_USAGE", `--format is an option of graph, not of ${command}`);
  if (!FORMATS.some((one) => one === format))
    throw cliError("CLI_USAGE", `there is no format "${format}"${meant(format, FORMATS)}`);
}

function known(format: string | undefined): "mermaid" | "json" {
  return format === "json" ? "json" : "mermaid";
}

function meant(word: string, words: readonly string[]): string {
  const near = nearest(word, words);
  return near === undefined ? `: ${words.join(", ")}` : `; did you mean "${near}"?`;
}

/** Settings can be checked where there is no container too. */
async function checked(module: LoadedModule, name: string | undefined, command: readonly string[]): Promise<Result> {
  const hasContainer = name !== undefined || hasOne(module);
  const reports = await checkSettings(
    module,
    hasContainer ? containerOf(module, name).app : undefined,
    command.length > 0 ? command : undefined,
  );
  if (reports.length === 0)
    throw cliError(
      "CLI_NO_SETTINGS",
      `${module.path} has no settings: nothing that it exports or its container holds is made by config(...)`,
    );
  const misused = reports.find(({ code }) => code === 2);
  if (misused !== undefined) throw cliError("CLI_USAGE", misused.text);
  return { code: Math.max(...reports.map(({ code }) => code)), text: reports.map(({ text }) => text).join("\n") };
}

function hasOne(module: LoadedModule): boolean {
  try {
    containerOf(module, undefined);
    return true;
  } catch {
    return false;
  }
}

function ownVersion(): string {
  const path = createRequire(import.meta.url).resolve("@steward/cli/package.json");
  return (JSON.parse(readFileSync(path, "utf8")) as { readonly version: string }).version;
}

function toStdout(text: string): void {
  process.stdout.write(`${text}\n`);
}

function toStderr(text: string): void {
  process.stderr.write(`${text}\n`);
}
