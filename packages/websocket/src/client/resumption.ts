import type { Clock, Timer } from "@steward/core";
import type { WebSocket } from "ws";
import type { Sender } from "./messages/sender.ts";
import type { ResumePlan } from "./plan.ts";

/**
 * Runs the resume hook of a session on a new connection. What it sends and calls has its own deadlines, so that only the
 * time counts in which nothing of that is under way.
 */
export async function resumed(plan: ResumePlan, sender: Sender, socket: WebSocket, reconnects: number): Promise<void> {
  const { name, clock, resume, connectTimeoutMs } = plan;
  if (resume === undefined) return;
  const patience = new HookPatience(clock, connectTimeoutMs);
  const hook = resume({
    session: name,
    socket,
    reconnects,
    call: (body) => patience.during(sender.call({ verb: "call", body }, true)),
    send: (data) => patience.during(sender.send(data, true)),
  });
  await patience.with(hook);
}

/** How long a hook is waited for. */
class HookPatience {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #underWay = 0;
  #timer: Timer | undefined;
  #giveUp: ((error: Error) => void) | undefined;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** As the hook does. @throws when it has done nothing for too long. */
  async with(hook: unknown): Promise<void> {
    const over = new Promise<never>((_, reject) => (this.#giveUp = reject));
    this.#wait();
    try {
      await Promise.race([hook, over]);
    } finally {
      this.#timer?.cancel();
      this.#giveUp = undefined;
    }
  }

  /** Waits as long as that takes. */
  during<T>(work: Promise<T>): Promise<T> {
    this.#underWay++;
    this.#timer?.cancel();
    const ended = (): void => {
      this.#underWay--;
      this.#wait();
    };
    work.then(ended, ended);
    return work;
  }

  #wait(): void {
    const giveUp = this.#giveUp;
    if (giveUp === undefined || this.#underWay > 0) return;
    const why = `it neither ended nor waited for a reply for ${this.#timeoutMs} ms`;
    this.#timer = this.#clock.setTimeout(() => giveUp(new Error(why)), this.#timeoutMs, { unref: true });
  }
}
