import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { output, root } from "@steward/harness";
import { appOf, type App } from "./replica.ts";

/** Clips as it was at a commit, a tag or a branch: in a checkout of its own, installed and built, that goes in the end. */
export class Earlier implements AsyncDisposable {
  readonly app: App;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.app = appOf(folder);
  }

  static async build(ref: string): Promise<Earlier> {
    const folder = await mkdtemp(join(tmpdir(), "steward-earlier-"));
    const earlier = new Earlier(folder);
    try {
      await output("git", ["worktree", "add", "--detach", folder, ref]);
      const pnpm = (...args: string[]) => output(join(root, "node_modules/.bin/pnpm"), args, folder);
      const scope = ["--filter", "steward", "--filter", "@steward/reference..."];
      await pnpm(...scope, "install", "--frozen-lockfile", "--prefer-offline", "--config.confirm-modules-purge=false");
      await pnpm("exec", "turbo", "run", "build", "--filter=@steward/reference...");
      return earlier;
    } catch (error) {
      await earlier[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
    await output("git", ["worktree", "prune"]);
  }
}
