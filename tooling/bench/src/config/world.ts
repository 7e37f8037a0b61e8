import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { REQUIRED, SETTINGS, variableOf, type Typo } from "./typos.ts";

/** Settings with one mistyped name: as files in a folder, and as an environment. */
export class World implements Disposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), "steward-bench-config-"));
  readonly environment: Record<string, string> = {};

  /** @param typo `undefined` where nothing is mistyped. */
  constructor(typo: Typo | undefined) {
    const { format = "variable", meant, written } = typo ?? {};
    const files: Record<string, unknown> = {};
    mkdirSync(join(this.folder, "secrets"));
    // What has to be set is in the environment; the typo, and what it is meant to be, stands in its own format.
    for (const path of REQUIRED) if (path !== meant) this.environment[variableOf(path)] = String(SETTINGS[path]);
    if (written !== undefined && meant !== undefined) {
      const value = SETTINGS[meant];
      if (format === "variable") this.environment[written] = String(value);
      else if (format === "secret file") writeFileSync(join(this.folder, "secrets", written), String(value));
      else put(files, written.split("."), value);
    }
    writeFileSync(join(this.folder, "app.yaml"), format === "YAML" ? stringify(files) : "{}\n");
    writeFileSync(join(this.folder, "app.json"), format === "JSON" ? JSON.stringify(files) : "{}\n");
  }

  at(name: string): string {
    return join(this.folder, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function put(root: Record<string, unknown>, [key = "", ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) root[key] = value;
  else put((root[key] = {}) as Record<string, unknown>, rest, value); // just made
}
