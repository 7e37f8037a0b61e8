import { StewardError } from "@steward/core";
import { TimerEntry } from "@steward/core/driver";
import type { HttpDispatchOptions, Lane, WaitingBody } from "./lane.ts";

/** The call that a body belongs to. */
interface Call {
  readonly options: HttpDispatchOptions;
  readonly stack: string | undefined;
  fail(error: unknown): void;
}

/** A body that fills its buffer and waits for its reader; the wait has an end. Made at the first such wait of a call. */
export class UnreadBody extends TimerEntry implements WaitingBody {
  readonly #lane: Lane;
  readonly #call: Call;
  pausedSince = -1;

  constructor(lane: Lane, call: Call) {
    super();
    this.#lane = lane;
    this.#call = call;
  }

  get options(): HttpDispatchOptions {
    return this.#call.options;
  }

  get stack(): string | undefined {
    return this.#call.stack;
  }

  /** Its buffer is full. */
  pause(): void {
    const { clock, limits, paused, wheel } = this.#lane;
    this.pausedSince = clock.now();
    paused.add(this);
    this.deadline = this.pausedSince + limits.unreadBodyTimeoutMs;
    wheel.remove(this);
    wheel.add(this);
  }

  /** Somebody reads on, or no one has to any more. */
  resume(): void {
    this.pausedSince = -1;
    this.#lane.paused.delete(this);
    this.#lane.wheel.remove(this);
  }

  override expire(): void {
    if (this.pausedSince >= 0) this.takeBack();
  }

  takeBack(): void {
    const { resource, origin, clock } = this.#lane;
    const { method, path } = this.options;
    const waited = Math.round(clock.now() - this.pausedSince);
    this.#lane.leaked(this);
    const message = `${resource}: the body of ${method} ${origin}${pathOnly(path)} was not read for ${waited} ms; read it, or call body.dump()`;
    this.#call.fail(new StewardError("HTTP_BODY_UNREAD", message, { resource }));
  }
}

/** A query may hold secrets. */
export function pathOnly(path: string): string {
  const end = path.indexOf("?");
  return end < 0 ? path : path.slice(0, end);
}
