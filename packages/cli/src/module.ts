import { statSync } from "node:fs";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { container, type Container } from "@steward/container";
import { isDefinition, type AnyDefinition } from "@steward/core/container";
import { describeError, nearest } from "@steward/core/driver";
import { cliError } from "./errors.ts";

/** What a module exports, and where it stands. */
export interface LoadedModule {
  /** As the user wrote it. */
  readonly path: string;
  readonly file: string;
  readonly exports: Readonly<Record<string, unknown>>;
}

/** The container of a module. */
export interface FoundContainer {
  /** The name of its export. */
  readonly name: string;
  readonly app: Container<never>;
}

/** Loads the module that a user names by its path. */
export async function loadModule(path: string): Promise<LoadedModule> {
  const file = resolve(path);
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined)
    throw cliError("CLI_MODULE_NOT_FOUND", `there is no ${path}; build the app first, or name another file`);
  if (!found.isFile()) throw cliError("CLI_MODULE_NOT_FOUND", `${path} is a folder; name the file in it`);
  try {
    return { path, file, exports: (await import(pathToFileURL(file).href)) as LoadedModule["exports"] };
  } catch (cause) {
    throw loadError(path, cause);
  }
}

const TYPESCRIPT: readonly string[] = [".ts", ".mts", ".cts"];

function loadError(path: string, cause: unknown): Error {
  const { code } = cause as { readonly code?: unknown };
  if (code === "ERR_UNKNOWN_FILE_EXTENSION" && TYPESCRIPT.includes(extname(path))) {
    const ways = "name the compiled file, such as dist/app.js, or use Node 22.18 or newer";
    return cliError("CLI_TYPESCRIPT", `${path} is TypeScript, which Node ${process.version} does not run: ${ways}`);
  }
  if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX")
    return cliError("CLI_TYPESCRIPT", `${path}: ${describeError(cause)}: name the compiled file instead`, { cause });
  return cliError("CLI_MODULE_FAILED", `${path} cannot be loaded: ${describeError(cause)}`, { cause });
}

/** The container that a module exports: by `name`, or the only one. An array of definitions stands for `container([...])`. */
export function containerOf({ path, exports }: LoadedModule, name: string | undefined): FoundContainer {
  const found = Object.entries(exports).flatMap(([key, value]): FoundContainer[] => {
    const app = asContainer(value);
    return app === undefined ? [] : [{ name: key, app }];
  });
  if (name === undefined) {
    const [only, ...others] = uniqueOf(found);
    if (only === undefined) throw cliError("CLI_NO_CONTAINER", noContainer(path, exports));
    if (others.length === 0) return only;
    const names = found.map((one) => one.name).join(", ");
    throw cliError("CLI_NO_CONTAINER", `${path} exports ${found.length} containers: ${names}; choose by --export`);
  }
  const chosen = found.find((one) => one.name === name);
  if (chosen !== undefined) return chosen;
  const near = nearest(name, Object.keys(exports));
  const hint = Object.hasOwn(exports, name)
    ? "it is neither a container nor an array of definitions"
    : near === undefined
      ? `it exports ${Object.keys(exports).join(", ") || "nothing"}`
      : `did you mean "${near}"?`;
  throw cliError("CLI_NO_CONTAINER", `${path} exports no container "${name}": ${hint}`);
}

/** `export const app = ...; export default app;` is one container. */
function uniqueOf(found: readonly FoundContainer[]): FoundContainer[] {
  return found.filter(({ app }, i) => found.findIndex((other) => other.app === app) === i);
}

function noContainer(path: string, exports: LoadedModule["exports"]): string {
  const definitions = Object.entries(exports).flatMap(([key, value]) => (isDefinition(value) ? [key] : []));
  const [first] = definitions;
  return first === undefined
    ? `${path} exports no container; add: export const app = container([...])`
    : `${path} exports definitions and no container; add: export const app = container([${definitions.join(", ")}])`;
}

/** Containers of another copy of the package are containers too. */
function asContainer(value: unknown): Container<never> | undefined {
  if (Array.isArray(value) && value.length > 0 && value.every(isDefinition))
    return container(value as readonly AnyDefinition[] as never);
  const { graph, withRoots } = (value ?? {}) as Partial<Container<never>>;
  return typeof graph === "function" && typeof withRoots === "function" ? (value as Container<never>) : undefined;
}
