import type { CallAbout } from "@steward/core";
import { GuardedUse } from "@steward/core/driver";
import type { Command } from "ioredis";
import type { PipelineNode } from "../connection/backend.ts";
import { isExec, withOwnError } from "../connection/outcome.ts";

/** What takes single commands. */
export interface Sender {
  send(command: Command): void;
  /** Its caller gave the command up: where it waits to be sent, it waits no more. */
  letGo?(command: Command): void;
}

/** What takes the commands of a pipeline. */
export interface BatchSender extends Pick<Sender, "letGo"> {
  sendAll(commands: readonly Command[], node: PipelineNode): void;
}

/** One command on its way through the guard. Its own promise is what the caller holds, so it costs no second one. */
export class CommandUse extends GuardedUse {
  readonly #command: Command;
  readonly #sender: Sender;
  readonly #resolve: Command["resolve"];
  readonly #reject: Command["reject"];

  constructor(command: Command, sender: Sender) {
    super();
    this.#command = command;
    this.#sender = sender;
    this.#resolve = command.resolve;
    this.#reject = command.reject;
    // V8 puts a function that is assigned as it is written among the old objects.
    const answer = (reply: unknown): void => this.#answer(reply);
    const fail = (error: Error): void => this.fail(error);
    command.resolve = answer;
    command.reject = fail;
  }

  override get operation(): string {
    return this.#command.name.toUpperCase();
  }

  protected override begin(): void {
    this.#sender.send(this.#command);
  }

  protected override giveUp(error: unknown): void {
    this.#reject(error as Error); // the guard and the driver give nothing but errors
    this.#sender.letGo?.(this.#command);
  }

  #answer(reply: unknown): void {
    if (!this.settled) this.#resolve(reply);
    this.succeed();
  }
}

/** The commands of one pipeline, which pass the guard as one and are answered one by one. */
export class BatchUse extends GuardedUse {
  readonly #commands: Command[] = [];
  readonly #rejects: Command["reject"][] = [];
  readonly #sender: BatchSender;
  readonly #node: PipelineNode;
  /** The last command that is not settled: most often no other is, once it is. To see each one settle costs twice as much. */
  #last: Command | undefined;

  constructor(sender: BatchSender, node: PipelineNode) {
    super();
    this.#sender = sender;
    this.#node = node;
  }

  get commands(): readonly Command[] {
    return this.#commands;
  }

  add(command: Command): void {
    if (isExec(command)) withOwnError(command);
    this.#commands.push(command);
    this.#rejects.push(command.reject);
  }

  override about(): CallAbout {
    const size = this.#commands.length;
    return { attributes: { "db.operation.name": "PIPELINE", "db.operation.batch.size": size } };
  }

  override get operation(): string {
    return `pipeline of ${this.#commands.length}`;
  }

  protected override begin(): void {
    this.#watchLast();
    this.#sender.sendAll(this.#commands, this.#node);
  }

  #watchLast(): void {
    let index = this.#commands.length - 1;
    while (this.#commands[index]?.isSettled === true) index--;
    const command = (this.#last = this.#commands[index]);
    if (command === undefined) return this.succeed();
    const { resolve, reject } = command;
    command.resolve = (reply) => {
      resolve(reply);
      this.#called(command);
    };
    // That of a cluster may send it to another node instead.
    command.reject = (error) => {
      reject(error);
      this.#called(command);
    };
  }

  #called(command: Command): void {
    if (command.isSettled && command === this.#last) this.#watchLast();
  }

  /** Past what the driver calls: it has let go of them only when it settles the last one itself. */
  protected override giveUp(error: unknown): void {
    for (const reject of this.#rejects) reject(error as Error); // the guard gives nothing but errors
    for (const command of this.#commands) this.#sender.letGo?.(command);
  }
}
