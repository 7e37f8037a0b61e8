import { watch, type FSWatcher } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock, Timer } from "@steward/core";

/** How files are watched. */
export interface WatcherOptions {
  readonly clock: Clock;
  readonly files: readonly string[];
  readonly debounceMs: number;
  readonly pollMs: number;
  readonly onChange: () => void;
}

/**
 * Notices that files change. It watches their folders, because editors and Kubernetes put a new file in the place of
 * the old one, which a watcher of the file never sees; and it looks at them now and then, because some mounts send no
 * events at all.
 */
export class Watcher {
  readonly #options: WatcherOptions;
  readonly #watchers = new Map<string, FSWatcher>();
  #seen = "";
  #debounce: Timer | undefined;
  #poll: Timer | undefined;
  #isStopped = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  /** Looks at the files before they are read, so that no change from then on is missed. */
  async prepare(): Promise<void> {
    this.#seen = await this.#look();
  }

  /** Watches from here on. What has changed since it was prepared is noticed soon. */
  start(): void {
    this.#watchFolders();
    this.#stirred();
    this.#pollLater();
  }

  stop(): void {
    this.#isStopped = true;
    this.#debounce?.cancel();
    this.#poll?.cancel();
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** The folders of the files, and those that are sources themselves. One that is gone is found by the next look. */
  #watchFolders(): void {
    for (const folder of new Set(this.#options.files.flatMap((file) => [dirname(file), file]))) {
      if (this.#watchers.has(folder)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#stirred());
        const forget = (): void => {
          watcher.close();
          this.#watchers.delete(folder);
        };
        watcher.on("error", forget);
        this.#watchers.set(folder, watcher);
      } catch {
        // It is not there, or the system has no watchers left: the looks remain.
      }
    }
  }

  #stirred(): void {
    const { clock, debounceMs } = this.#options;
    this.#debounce?.cancel();
    if (!this.#isStopped) this.#debounce = clock.setTimeout(() => void this.#compare(), debounceMs, { unref: true });
  }

  #pollLater(): void {
    const { clock, pollMs } = this.#options;
    const look = (): void => void this.#compare().finally(() => this.#pollLater());
    if (!this.#isStopped) this.#poll = clock.setTimeout(look, pollMs, { unref: true });
  }

  async #compare(): Promise<void> {
    const seen = await this.#look();
    if (this.#isStopped || seen === this.#seen) return;
    this.#seen = seen;
    this.#watchFolders();
    this.#options.onChange();
  }

  /** What shows that a file is another one now. */
  async #look(): Promise<string> {
    return (await Promise.all(this.#options.files.map((file) => look(file, true)))).join("\n");
  }
}

/** Of a folder also its files: one that is written in its place leaves the folder as it was. */
async function look(file: string, isSource: boolean): Promise<string> {
  try {
    const [found, real] = await Promise.all([stat(file), realpath(file)]);
    const inside = isSource && found.isDirectory() ? await readdir(file) : [];
    const looks = inside.sort().map((name) => look(join(file, name), false));
    return [real, found.dev, found.ino, found.size, found.mtimeMs, ...(await Promise.all(looks))].join(" ");
  } catch {
    return `${file} is not there`;
  }
}
