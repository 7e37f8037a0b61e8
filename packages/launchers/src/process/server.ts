import { StewardError } from "@steward/core";
import { launch, type Launched, type LaunchPlan } from "./launch.ts";
import type { ServerExit, ServerProcess } from "./server-process.ts";

/** Ends a server at once or, the others, as its manual says. */
export type KillSignal = "SIGKILL" | "SIGTERM" | "SIGINT" | "SIGQUIT";

/** A real server that a test or an app started. */
export interface Server extends AsyncDisposable {
  /** Where to connect, credentials included. Stays the same over {@link restart}. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Process id of the server; another one after {@link restart}. */
  readonly pid: number;
  /** True while the process lives (frozen counts as living). */
  readonly running: boolean;
  /** Ends the server and removes what was temporary. The second call gets the outcome of the first. */
  stop(): Promise<void>;
  /** Ends the process, `SIGKILL` by default, and waits until it is gone. Data and port stay for {@link restart}. */
  kill(signal?: KillSignal): Promise<void>;
  /** Freezes the server with all its processes: connections stay open and nothing answers. */
  pause(): Promise<void>;
  /** Lets a frozen server go on. */
  resume(): Promise<void>;
  /** Ends the server if it runs, and starts it on the same port with the same data. */
  restart(): Promise<void>;
}

// A port that was ours a moment ago may be lent to an outgoing connection; those are short.
const SAME_PORT_WAIT_MS = 3_000;
const KILL_WAIT_MS = 30_000;

/** A server process of ours with its life: one operation at a time, in the order of the calls. */
export abstract class OwnedServer implements Server {
  readonly host = "127.0.0.1";
  readonly #plan: LaunchPlan;
  readonly #release: () => Promise<void>;
  #current: Launched;
  #queue: Promise<unknown> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  /** `release` runs once, after the server was stopped. */
  constructor(plan: LaunchPlan, launched: Launched, release: () => Promise<void>) {
    this.#plan = plan;
    this.#current = launched;
    this.#release = release;
  }

  abstract get url(): string;

  get port(): number {
    return this.#current.port;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get running(): boolean {
    return this.#process.exit === undefined;
  }

  /** Resolves when the present process has ended. */
  get ended(): Promise<ServerExit> {
    return this.#process.ended;
  }

  get #process(): ServerProcess {
    return this.#current.process;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#inTurn(async () => {
      try {
        await this.#process.end(this.#plan.endSteps);
      } finally {
        await this.#release();
      }
    });
    return this.#stopped;
  }

  kill(signal: KillSignal = "SIGKILL"): Promise<void> {
    return this.#whileOurs(() => this.#process.end([[signal, KILL_WAIT_MS]]));
  }

  pause(): Promise<void> {
    return this.#whileOurs(() => this.#process.freeze());
  }

  resume(): Promise<void> {
    return this.#whileOurs(() => Promise.resolve(this.#process.thaw()));
  }

  restart(): Promise<void> {
    return this.#whileOurs(async () => {
      await this.#process.end(this.#plan.endSteps);
      this.#current = await launch({ ...this.#plan, port: this.port, portWaitMs: SAME_PORT_WAIT_MS });
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #whileOurs(operation: () => Promise<void>): Promise<void> {
    if (this.#stopped === undefined) return this.#inTurn(operation);
    return Promise.reject(
      new StewardError("SERVER_STOPPED", `${this.#plan.name}: this handle was stopped; start a new server`),
    );
  }

  #inTurn(operation: () => Promise<void>): Promise<void> {
    const turn = this.#queue.then(operation);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }
}
