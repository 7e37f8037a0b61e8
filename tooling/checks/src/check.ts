import type { Workspace } from "./workspace.ts";

/** What a check found. `saw` says how much it looked at, so that a check that looks at nothing shows. */
export interface Report {
  readonly saw: string;
  readonly problems: readonly string[];
}

/** A rule of the repository. */
export interface Check {
  readonly name: string;
  readonly run: (workspace: Workspace) => Report;
}

/** `3 packages`, `1 package`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : noun.endsWith("ss") ? "es" : "s"}`;
}

/** A problem if a check found nothing to look at: then it proves nothing. */
export function sawNothing(n: number, noun: string): readonly string[] {
  return n > 0 ? [] : [`saw no ${noun}: the check looks in the wrong place`];
}
