import { Redis, type Command } from "ioredis";
import { isExec, permitted, withPermittedParts } from "./outcome.ts";
import { TickWriter } from "./tick-writer.ts";

/** The driver's client of one connection, which writes the commands of a tick together once its handshake is done. */
export class LinkRedis extends Redis {
  #writer: TickWriter | undefined;

  /** From here on commands are written together. */
  writeTogether(): void {
    this.#writer = new TickWriter(this);
  }

  /** Sends commands that belong together in one write. */
  sendAll(commands: readonly Command[]): void {
    this.#writer?.collect();
    for (const command of commands) this.sendCommand(command);
  }

  override sendCommand(command: Command, stream?: Parameters<Redis["sendCommand"]>[1]): unknown {
    if (isExec(command)) withPermittedParts(command);
    return super.sendCommand(command, stream ?? this.#writer);
  }

  /** Every error that the server replies passes here, before its command fails with it. */
  override handleReconnection(...args: Parameters<Redis["handleReconnection"]>): void {
    permitted(args[0]);
    super.handleReconnection(...args);
  }

  /** After nonsense from the server no reply can be trusted: the socket ends, and with it what is in flight is sorted out. */
  override recoverFromFatalError(...args: Parameters<Redis["recoverFromFatalError"]>): void {
    if (this.#writer === undefined) return super.recoverFromFatalError(...args);
    this.stream.destroy(args[1]);
  }
}
