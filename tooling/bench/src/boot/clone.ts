import { cpSync, mkdirSync, mkdtempSync, chmodSync, existsSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { output, root } from "@steward/harness";

/** A copy of the repository as a stranger would clone it, uncommitted changes included; removed at the end. */
export class Clone implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<Clone> {
    const folder = mkdtempSync(join(tmpdir(), "steward-boot-"));
    chmodSync(folder, 0o755);
    const listed = await output(
      "git",
      ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
      root,
    );
    for (const file of listed.split("\0")) {
      if (file === "" || !existsSync(join(root, file))) continue;
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      cpSync(join(root, file), join(folder, file));
    }
    return new Clone(folder);
  }

  /** Installs what `npm start` would install; this is not part of the time. */
  async install(): Promise<void> {
    const program =
      'const { ensureInstalled } = await import("./tooling/run/install.mjs"); await ensureInstalled("app");';
    await output(process.execPath, ["--input-type=module", "--eval", program], this.folder);
  }

  /** Takes away what runs leave behind: builds, their cache, and the data. What is installed stays. */
  forget(): void {
    for (const group of ["packages", "apps", "tooling"])
      for (const name of readdirSync(join(this.folder, group))) this.#remove(group, name, "dist");
    for (const name of readdirSync(join(this.folder, "apps"))) this.#remove("apps", name, ".data");
    this.#remove(".data");
    this.#remove(".turbo");
    this.#remove("node_modules/.cache");
  }

  #remove(...path: string[]): void {
    rmSync(join(this.folder, ...path), { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
