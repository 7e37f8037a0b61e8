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

/** What becomes of an attempt; one of the two is called. */
export interface Outcome {
  readonly opened: (link: Link) => void;
  readonly failed: (error: StewardError) => void;
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

  /** Where the next attempt goes: a count of the targets that were left. */
  get turn(): number {
    return this.#turn;
  }

  /** The next attempts go to another target than that one, unless they do already. */
  leave(turn: number): void {
    if (turn === this.#turn) this.#turn++;
  }

  /** Whether the next attempt goes there. */
  isNext(turn: number): boolean {
    return (this.#turn - turn) % Math.max(1, this.#plan.targets.length) === 0;
  }

  /** One attempt. `undefined` where there is no target. */
  dial({ opened, failed }: Outcome): Attempt | undefined {
    const turn = this.#turn;
    const { resource, clock, targets, protocol, client } = this.#plan;
    if (client !== undefined)
      return new ExistingSocket(resource, client, {
        opened: (ws) => opened(new ExistingLink(ws, this.#owner, protocol, clock, this.#plan)),
        failed,
      });
    const target = targets[this.#turn % targets.length];
    if (target === undefined) return undefined;
    return new Dial(resource, clock, target, {
      opened: (ws, wire) => {
        const link = new Link(ws, wire, this.#owner, protocol, clock, this.#plan);
        link.turn = turn;
        opened(link);
      },
      failed,
    });
  }
}
