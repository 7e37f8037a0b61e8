import type { Clock, StewardError } from "@steward/core";
import type { WebSocket } from "ws";
import type { CallProtocol } from "../../wire/protocol.ts";
import { Dial, type Attempt, type Target } from "./dial.ts";
import { ExistingLink, ExistingSocket } from "./existing.ts";
import { Link, type LinkOwner, type Patience } from "./link.ts";

/** What connections are made with. */
export interface DialPlan extends Patience {
  readonly resource: string;
  readonly clock: Clock;
  readonly targets: readonly Target[];
  readonly protocol: CallProtocol;
  /** A socket of the user's, instead of targets. */
  readonly client: WebSocket | undefined;
}

/** Makes connections, to one target after the other. */
export class Dialler {
  readonly #plan: DialPlan;
  readonly #owner: LinkOwner;
  #turn = 0;

  constructor(plan: DialPlan, owner: LinkOwner) {
    this.#plan = plan;
    this.#owner = owner;
  }

  /** Begins with the first target again. */
  restart(): void {
    this.#turn = 0;
  }

  /** The next attempts go to the next target. */
  turn(): void {
    this.#turn++;
  }

  /** One attempt; one of the two is called. `undefined` where there is no target. */
  dial(opened: (link: Link) => void, failed: (error: StewardError) => void): Attempt | undefined {
    const { resource, clock, targets, protocol, client } = this.#plan;
    if (client !== undefined)
      return new ExistingSocket(resource, client, {
        opened: (ws) => opened(new ExistingLink(ws, this.#owner, protocol, clock, this.#plan)),
        failed,
      });
    const target = targets[this.#turn % targets.length];
    if (target === undefined) return undefined;
    return new Dial(resource, clock, target, {
      opened: (ws, wire) => opened(new Link(ws, wire, this.#owner, protocol, clock, this.#plan)),
      failed,
    });
  }
}
