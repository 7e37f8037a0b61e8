import { StewardError, type Clock } from "@steward/core";
import { WebSocket } from "ws";
import type { CallProtocol } from "../../wire/protocol.ts";
import type { Attempt } from "./dial.ts";
import { Link, type LinkOwner, type Patience } from "./link.ts";

/** What becomes of a socket of the user's: it is open, or it cannot be used. */
export interface ExistingOutcome {
  opened(ws: WebSocket): void;
  failed(error: StewardError): void;
}

/** Waits until a socket of the user's is open, in the place of a dial. It never closes it. */
export class ExistingSocket implements Attempt {
  readonly #resource: string;
  readonly #ws: WebSocket;
  readonly #outcome: ExistingOutcome;

  constructor(resource: string, ws: WebSocket, outcome: ExistingOutcome) {
    this.#resource = resource;
    this.#ws = ws;
    this.#outcome = outcome;
    ws.once("open", this.#opened);
    ws.once("close", this.#failed);
    if (ws.readyState !== WebSocket.CONNECTING)
      queueMicrotask(ws.readyState === WebSocket.OPEN ? this.#opened : this.#failed);
  }

  readonly #opened = (): void => {
    if (this.#forget()) this.#outcome.opened(this.#ws);
  };

  readonly #failed = (): void => {
    const resource = this.#resource;
    const message = `${resource}: the client that was handed over is closed, and not ours to replace: hand over an open one`;
    if (this.#forget()) this.#outcome.failed(new StewardError("WEBSOCKET_CONNECT_FAILED", message, { resource }));
  };

  #isOver = false;

  /** False where it was over before. */
  #forget(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#ws.off("open", this.#opened);
    this.#ws.off("close", this.#failed);
    return true;
  }

  cancel(): void {
    this.#forget();
  }
}

/** What corks nothing: only the user's socket knows its stream. */
const UNCORKED = { cork: () => {}, uncork: () => {} };

/** The connection of the user's socket. It is asked for signs of life, but only its owner closes it. */
export class ExistingLink extends Link {
  constructor(ws: WebSocket, owner: LinkOwner, protocol: CallProtocol, clock: Clock, patience: Patience) {
    super(ws, UNCORKED, owner, protocol, clock, patience);
  }

  /** Its calls have their deadlines, and a probe finds the silence. */
  protected override silent(): void {}

  override kill(why?: string): void {
    this.letGo(1006, why);
  }

  override goodbye(): Promise<void> {
    this.letGo(1000, "its manager was stopped");
    return Promise.resolve();
  }
}
