import { StewardError, type Guard } from "@steward/core";
import { Redis, type Command, type RedisOptions } from "ioredis";
import type { Link } from "../connection/link.ts";
import { routeOf } from "./commands.ts";
import { commandRefused, Pipelines } from "./pipelines.ts";
import { CommandUse } from "./use.ts";

/** What a lease needs to know. */
export interface LeaseSetup {
  readonly resource: string;
  readonly link: Link;
  readonly guard: Guard;
  readonly timeoutMs: number;
  readonly facade: RedisOptions;
}

const OPENS = new Set(["watch", "multi"]);
const CLOSES = new Set(["unwatch", "exec", "discard"]);
const CHANGES = new Set(["select", "auth", "hello", "reset", "client", "readonly", "readwrite"]);
const NEVER = new Set(["quit", "monitor", "sync", "psync", "replconf"]);

/** A connection of one's own for the length of a function: a real client on one socket, every command with a deadline. */
export class RedisLease extends Redis {
  readonly #setup: LeaseSetup;
  readonly #pipelines: Pipelines;
  #ended = false;
  #open = false;
  #changed = false;

  constructor(setup: LeaseSetup) {
    super(setup.facade as RedisOptions & { replyMapping?: "legacy" }); // the facade never sees a reply
    this.#setup = setup;
    this.#pipelines = new Pipelines({
      sendAll: (commands) => setup.link.redis.sendAll(commands),
      enter: (use) => setup.guard.enter(use, { timeoutMs: this.#timeoutMs(use.commands) }),
      refusal: () => undefined, // it is one's own
    });
  }

  /** True when the connection is as it was lent: nothing watched, queued, changed, or without a reply. */
  get clean(): boolean {
    return !this.#open && !this.#changed && this.#setup.link.usable && this.#setup.link.unanswered === 0;
  }

  /** Takes the connection away from the caller that still holds it. */
  finish(): void {
    this.#ended = true;
  }

  override sendCommand(command: Command, stream?: unknown): unknown {
    const { guard, link } = this.#setup;
    const error = this.#refusal(command);
    if (error !== undefined) {
      command.reject(error);
      return command.promise;
    }
    this.#note(command.name.toLowerCase());
    if (stream !== undefined) this.#pipelines.add(command, stream, undefined);
    else {
      this.#pipelines.flush();
      guard.enter(new CommandUse(command, { send: (one) => link.redis.sendCommand(one) }), {
        timeoutMs: this.#timeoutMs([command]),
      });
    }
    return command.promise;
  }

  override connect(): Promise<void> {
    return Promise.resolve();
  }

  override disconnect(): void {}

  #refusal(command: Command): StewardError | undefined {
    const { resource } = this.#setup;
    if (this.#ended)
      return new StewardError(
        "REDIS_LEASE_ENDED",
        `${resource}: the function that this connection was lent to has ended; await everything in it`,
        { resource },
      );
    if (NEVER.has(command.name.toLowerCase())) return commandRefused(resource, command, "lent");
    if (routeOf(command) === "subscription")
      return new StewardError(
        "REDIS_COMMAND_REFUSED",
        `${resource}: subscribe on the client itself, which keeps subscriptions over reconnects`,
        { resource },
      );
    return undefined;
  }

  #note(name: string): void {
    if (OPENS.has(name)) this.#open = true;
    else if (CLOSES.has(name)) this.#open = false;
    else if (CHANGES.has(name)) this.#changed = true;
  }

  /** Blocking commands may take their own time, outside of a transaction, and then the usual time for the answer. */
  #timeoutMs(commands: readonly Command[]): number {
    const blocking = commands.filter((command) => routeOf(command) === "blocking" && !command.inTransaction);
    return blocking.reduce((sum, command) => sum + blockMs(command), this.#setup.timeoutMs);
  }
}

/** How long a blocking command may block, in ms; `Infinity` where it says 0. */
export function blockMs(command: Command): number {
  const given = command.extractBlockingTimeout() ?? 0;
  return given > 0 ? given : Number.POSITIVE_INFINITY;
}
