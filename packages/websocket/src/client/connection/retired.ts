import type { Link } from "./link.ts";

/** Connections that were replaced: each ends with the last reply that it owes. */
export class Retired {
  readonly #links = new Set<Link>();
  /** Connections that were given up because they were silent. */
  silent = 0;

  add(link: Link): void {
    this.#links.add(link);
    if (link.calls.size === 0) link.ws.close(1000);
  }

  /** It has ended. */
  delete(link: Link): void {
    if (link.isSilent) this.silent++;
    this.#links.delete(link);
  }

  look(stoodStill: boolean): void {
    for (const link of this.#links) {
      if (link.calls.size === 0) link.ws.close(1000);
      link.look(true, stoodStill);
    }
  }

  /** Those, and the one in use where there is one: all that messages come from. */
  and(inUse: Link | undefined): readonly Link[] {
    return inUse === undefined ? [...this.#links] : [...this.#links, inUse];
  }
}
