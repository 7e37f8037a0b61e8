import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

// This file runs from tooling/checks/.test/test.
const home = resolve(import.meta.dirname, "../..");

const core: Readonly<Record<string, string>> = {
  "packages/core/package.json": JSON.stringify({
    name: "@steward/core",
    type: "module",
    exports: { ".": { default: "./dist/index.js" } },
    dependencies: { valibot: "catalog:" },
    devDependencies: { tap: "workspace:@steward/tap@*" },
  }),
  "packages/core/src/index.ts": 'export { CORE_CODES, fail } from "./errors.ts";\n',
  "packages/core/src/errors.ts": `import * as v from "valibot";
/** Codes. */
export const CORE_CODES = { OPTIONS_INVALID: "An option is wrong." } as const;
/** Fails. */
export function fail(): never {
  throw new StewardError("OPTIONS_INVALID", String(v));
}
`,
  "packages/core/test/core.test.ts": 'import t from "tap";\nt.equal("OPTIONS_INVALID", 1);\n',
  "packages/core/README.md": "# core\n\n## Errors\n\n- `OPTIONS_INVALID`: an option is wrong.\n",
};

const driver: Readonly<Record<string, string>> = {
  "packages/redis/package.json": JSON.stringify({
    name: "@steward/redis",
    exports: { ".": { default: "./dist/index.js" }, "./testing": { default: "./dist/testing.js" } },
    dependencies: { "@steward/core": "workspace:^" },
    peerDependencies: { ioredis: "^6.0.0" },
    devDependencies: { ioredis: "catalog:", tap: "workspace:@steward/tap@*" },
  }),
  "packages/redis/src/index.ts": 'export { RedisPoolManager } from "./manager.ts";\n',
  "packages/redis/src/manager.ts": `import { Redis } from "ioredis";
import { fail } from "@steward/core";
/** Looks after Redis connections. */
export class RedisPoolManager {
  /** Starts. */
  start(): void { new Redis(); fail(); }
  /** Stops. */
  stop(): void { throw new RedisError("REDIS_GONE", ""); }
  /** Counts. */
  stats(): void {}
}
`,
  "packages/redis/src/options.ts": "export const options = 1;\n",
  "packages/redis/src/health.ts": 'import { CORE_CODES } from "@steward/core";\nexport const probe = CORE_CODES;\n',
  "packages/redis/src/testing.ts": "/** A Redis for tests. */\nexport const testRedis = 1;\n",
  "packages/redis/src/errors.ts": 'export const REDIS_CODES = { REDIS_GONE: "Redis went away." } as const;\n',
  "packages/redis/test/contract.test.ts": 'import t from "tap";\nt.equal("REDIS_GONE", 1);\n',
  "packages/redis/README.md":
    "# redis\n\n## Install\n\n## Options\n\n## Errors\n\n`REDIS_GONE` and `OPTIONS_INVALID`\n\n## Health and metrics\n\n## What stop does\n",
};

/** A small repository that keeps every rule, in a folder of its own. */
export interface Repository extends Disposable {
  readonly root: string;
  /** Writes a file, by a path relative to the root. */
  write(path: string, text: string): void;
  remove(path: string): void;
}

/** Makes the repository; `changes` are files written over the good ones, which is how a violation is planted. */
export function repository(changes: Readonly<Record<string, string>> = {}): Repository {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "steward-checks-")));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  for (const [path, text] of Object.entries({ ...core, ...driver, ...changes })) write(path, text);
  execFileSync("git", ["init", "--quiet"], { cwd: root });
  return {
    root,
    write,
    remove: (path) => rmSync(join(root, path), { recursive: true }),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Gives the repository the compiler and the presets, for checks that compile. */
export function withCompiler({ root }: Repository): void {
  mkdirSync(join(root, "tooling"));
  symlinkSync(join(home, "../typescript"), join(root, "tooling/typescript"));
  symlinkSync(join(home, "node_modules"), join(root, "packages/core/node_modules"));
}

/** Runs a program of ours in a folder: its exit code and all it printed. */
export function runIn(
  directory: string,
  program: string,
  ...args: readonly string[]
): { readonly code: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(home, "dist", program), ...args], {
    cwd: directory,
    encoding: "utf8",
  });
  return { code: status, output: `${stdout}${stderr}` };
}
