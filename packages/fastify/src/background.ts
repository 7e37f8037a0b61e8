import type { ScopeNeeds } from "@steward/container";
import { assertShape, func, text, type Needs, type ValuesOf } from "@steward/core";
import { assertNeeds } from "./needs.ts";

/** One piece of work for after the response. */
export interface Task {
  readonly name: string;
  readonly needs: Needs | undefined;
  readonly run: (values: never) => unknown;
}

/** What the tasks of a request are given to. */
export interface TaskHost {
  /** Told of every task, so that it is run, counted, and reported where it cannot be run any more. */
  queue(task: Task): void;
}

/**
 * Work for after the response of one request. It runs in the order in which it was added, once the client has its
 * answer and before what lives as long as the request is released; not at all where the request failed.
 */
export class Background {
  readonly #host: TaskHost;

  /** @internal Made by the need `background`. */
  constructor(host: TaskHost) {
    this.#host = host;
  }

  /** Adds work. What the request holds is still there when it runs. */
  add(name: string, run: () => unknown): void;
  /** Adds work with needs of its own, which are resolved in a scope of its own. */
  add<const N extends Needs>(
    name: string,
    needs: N & ScopeNeeds<N, never>,
    run: (values: ValuesOf<N>) => unknown,
  ): void;
  add(name: string, needs: Needs | (() => unknown), run?: (values: never) => unknown): void {
    assertShape("background.add", text(), name);
    if (typeof needs === "function") return this.#host.queue({ name, needs: undefined, run: needs });
    assertShape("background.add", func(), run);
    assertNeeds(`the background task "${name}"`, needs);
    if (run !== undefined) this.#host.queue({ name, needs, run });
  }
}

/** Numbers of background work. */
export interface BackgroundStats {
  readonly pending: number;
  readonly done: number;
  readonly failed: number;
  /** Not run because the app had to stop. */
  readonly lost: number;
}
