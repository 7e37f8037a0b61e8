import type { FrameworkScope, ScopeNeeds } from "@steward/container/framework";
import type { Needs, ValuesOf } from "@steward/core/container";
import { assertShape, func, text } from "@steward/core/driver";
import { assertNeeds } from "../route/needs.ts";

/** One piece of work for after the response. */
export interface Task {
  readonly name: string;
  readonly needs: Needs | undefined;
  readonly run: (values: never) => unknown;
}

/**
 * Work for after the response of one request. It runs in the order in which it was added, once the client has its
 * answer and before what lives as long as the request is released; not at all where the request failed.
 */
export class Background {
  readonly #queue: (task: Task) => void;

  /** @internal Made by the need `background`. */
  constructor(queue: (task: Task) => void) {
    this.#queue = queue;
  }

  /** Adds work. What the request holds is still there when it runs. */
  add(name: string, run: () => unknown): void;
  /**
   * Adds work with needs of its own, which are resolved in a scope of its own. What belongs to a session is that of the
   * request's session, which stays open until the work has ended, also when it is ended meanwhile.
   *
   * @throws {ROUTE_INVALID} when something belongs to a session, and the app does not say which one a request belongs to.
   * @throws {HttpError} 401 when something belongs to a session, and the request has none.
   */
  add<const N extends Needs>(
    name: string,
    needs: N & ScopeNeeds<N, never>,
    run: (values: ValuesOf<N>) => unknown,
  ): void;
  add(name: string, needs: Needs | (() => unknown), run?: (values: never) => unknown): void {
    assertShape("background.add", text(), name);
    if (typeof needs === "function") return this.#queue({ name, needs: undefined, run: needs });
    assertShape("background.add", func(), run);
    assertNeeds(`the background task "${name}"`, needs);
    if (run !== undefined) this.#queue({ name, needs, run });
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

/** What counts and runs the tasks of all requests. */
interface TaskRunner {
  taskQueued(task: Task, scope: FrameworkScope | undefined): void;
  runTask(task: Task, scope: FrameworkScope | undefined): Promise<void>;
  forget(tasks: readonly Task[]): void;
}

/** The tasks of one request. */
export class Tasks {
  readonly #runner: TaskRunner;
  readonly #scopeOf: () => FrameworkScope | undefined;
  #waiting: Task[] = [];

  constructor(runner: TaskRunner, scopeOf: () => FrameworkScope | undefined) {
    this.#runner = runner;
    this.#scopeOf = scopeOf;
  }

  get pending(): boolean {
    return this.#waiting.length > 0;
  }

  add(task: Task): void {
    this.#runner.taskQueued(task, this.#scopeOf());
    this.#waiting.push(task);
  }

  /** None of them runs any more. */
  forget(): void {
    this.#runner.forget(this.#waiting.splice(0));
  }

  /** Runs them in order, also those that are added meanwhile. One that fails stops none of the others. */
  async run(host: { taskFailed(error: unknown, task: string): void }): Promise<void> {
    for (let task = this.#waiting.shift(); task !== undefined; task = this.#waiting.shift()) {
      try {
        await this.#runner.runTask(task, this.#scopeOf());
      } catch (error) {
        host.taskFailed(error, task.name);
      }
    }
  }
}
