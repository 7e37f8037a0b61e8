import { createHash } from "node:crypto";
import { mkdir, mkdtemp, realpath, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { exists, removeFolder } from "../process/folder.ts";
import { runCommand } from "../process/programs.ts";

/** The variable that names the folder of templates. To make a cluster is a CPU second, to copy it a tenth of that. */
const FOLDER = "STEWARD_POSTGRES_TEMPLATES";

/** What one `initdb` makes, kept for the next who wants the same. */
export class ClusterTemplate {
  readonly #place: string;

  private constructor(place: string) {
    this.#place = place;
  }

  /** The template of this `initdb`, of which another version lies elsewhere; `undefined` without the variable. */
  static async of(initdb: string): Promise<ClusterTemplate | undefined> {
    const folder = process.env[FOLDER];
    if (folder === undefined || folder === "") return undefined;
    const key = createHash("sha256")
      .update(await realpath(initdb))
      .digest("hex")
      .slice(0, 16);
    return new ClusterTemplate(join(folder, key));
  }

  /** Copies the template to `target`, which must not exist; `false` where there is none, or none for this user. */
  async copyTo(target: string, signal?: AbortSignal): Promise<boolean> {
    if (!(await exists(this.#place))) return false;
    const { ok } = await runCommand(["cp", "-pR", this.#place, target], { signal });
    if (!ok) await removeFolder(target);
    return ok;
  }

  /** Keeps a copy of `source`, unless somebody else was faster. */
  async keep(source: string, signal?: AbortSignal): Promise<void> {
    await mkdir(dirname(this.#place), { recursive: true, mode: 0o700 });
    const draft = await mkdtemp(`${this.#place}-`);
    try {
      const copy = join(draft, "copy");
      const { ok } = await runCommand(["cp", "-pR", source, copy], { signal });
      if (ok) await rename(copy, this.#place).catch(() => undefined);
    } finally {
      await removeFolder(draft);
    }
  }
}
