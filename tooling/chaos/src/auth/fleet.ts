import { fork, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { startPostgres, type PostgresServer } from "@steward/launchers";

/** What an instance is started with. */
export interface Setup {
  readonly url: string;
  /** What keys are made of, the same for all. */
  readonly secret: string;
  readonly timeoutMs: number;
  readonly maxPerUser: number;
}

/** What an instance is asked for. */
export interface Asked {
  readonly id: number;
  readonly call: string;
  readonly given: readonly string[];
}

/** What it answers. */
export interface Reply {
  readonly id: number;
  readonly ms: number;
  readonly value?: unknown;
  readonly code?: string;
}

/** Several processes that sign the same people in, over one Postgres. */
export class SignInFleet implements AsyncDisposable {
  readonly database: PostgresServer;
  readonly size: number;
  readonly #instances: readonly ChildProcess[];
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #asked = 0;

  private constructor(database: PostgresServer, instances: readonly ChildProcess[]) {
    this.database = database;
    this.#instances = instances;
    this.size = instances.length;
    for (const instance of instances) instance.on("message", (reply: Reply) => this.#waiting.get(reply.id)?.(reply));
  }

  static async start(size: number, settings: Pick<Setup, "timeoutMs" | "maxPerUser">): Promise<SignInFleet> {
    const database = await startPostgres();
    const setup: Setup = { ...settings, url: database.url, secret: randomBytes(32).toString("hex") };
    const program = join(import.meta.dirname, "program.js");
    const instances = Array.from({ length: size }, () => fork(program, [JSON.stringify(setup)]));
    await Promise.all(instances.map((instance) => once(instance, "message")));
    return new SignInFleet(database, instances);
  }

  /** Asks one instance; what it throws is `code`. */
  ask(place: number, call: string, ...given: readonly string[]): Promise<Reply> {
    const id = ++this.#asked;
    return new Promise((resolve) => {
      this.#waiting.set(id, (reply) => {
        this.#waiting.delete(id);
        resolve(reply);
      });
      this.#instances[place % this.size]?.send({ id, call, given } satisfies Asked);
    });
  }

  /** The same where it has to work. */
  async get<T>(place: number, call: string, ...given: readonly string[]): Promise<T> {
    const { value, code } = await this.ask(place, call, ...given);
    if (code !== undefined) throw new Error(`${call} failed: ${code}`);
    return value as T; // the caller knows what it has asked for
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#instances.map(async (instance) => {
        const ended = once(instance, "exit");
        if (instance.connected) instance.send("end");
        const force = setTimeout(() => instance.kill("SIGKILL"), 10_000);
        await ended;
        clearTimeout(force);
      }),
    );
    await this.database.stop();
  }
}
