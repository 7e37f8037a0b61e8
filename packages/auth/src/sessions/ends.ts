import { randomUUID } from "node:crypto";
import type { Clock, PubSub, Timer } from "@steward/core";
import { publishUnhandled } from "@steward/core/driver";

/** Sessions that have ended, here or on another instance. */
export interface EndedSessions {
  /** Whose they were, where that is known. */
  readonly subject: string | undefined;
  /** Their ids, which principals have as `session`: those that are known. */
  readonly sessions: readonly string[];
  /** True where all sessions of the subject have ended. */
  readonly isAll: boolean;
}

/** What {@link SessionEnds} is made of. */
export interface SessionEndsParts {
  readonly clock: Clock;
  readonly issuer: string;
  readonly bus: PubSub | undefined;
  /** What was remembered of these sessions is void; with `undefined` of all, because messages may have been lost. */
  readonly forget: (ended: EndedSessions | undefined) => void;
}

const TOPIC = "steward:auth:ends";
const RETRY_MS = 2_000;
const MAX_MESSAGE = 65_536;
/** A message of Postgres has less than 8,000 bytes. */
const MAX_IDS = 100;

/** Says to listeners of this and other instances which sessions have ended. What is remembered is forgotten before. */
export class SessionEnds {
  readonly #parts: SessionEndsParts;
  readonly #instance = randomUUID();
  readonly #listeners = new Set<(ended: EndedSessions) => void>();
  #state: "closed" | "opening" | "open" = "closed";
  #end: (() => Promise<void>) | undefined;
  #endGaps: (() => void) | undefined;
  #retry: Timer | undefined;
  /** Ends that could not be said to other instances, and attempts to listen to them that failed. */
  failures = 0;

  constructor(parts: SessionEndsParts) {
    this.#parts = parts;
  }

  /** Calls a listener until the returned function is called. */
  listen(listener: (ended: EndedSessions) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Begins to listen to other instances, and goes on trying until it is closed. */
  open(): void {
    const { bus, forget } = this.#parts;
    if (bus === undefined || this.#state !== "closed") return;
    this.#endGaps = bus.onGap?.(() => forget(undefined));
    void this.#subscribe(bus);
  }

  async #subscribe(bus: PubSub): Promise<void> {
    this.#state = "opening";
    try {
      const end = await bus.subscribe(TOPIC, (text) => this.#hear(text));
      if (this.#state !== "opening") return void end().catch(() => {}); // it was closed meanwhile
      this.#state = "open";
      this.#end = end;
      this.#parts.forget(undefined); // no one knows what was said before
    } catch {
      this.failures++;
      if (this.#state !== "opening") return;
      const again = (): void => void this.#subscribe(bus);
      this.#retry = this.#parts.clock.setTimeout(again, RETRY_MS, { unref: true });
    }
  }

  async close(): Promise<void> {
    this.#state = "closed";
    this.#retry?.cancel();
    this.#endGaps?.();
    const end = this.#end;
    this.#end = undefined;
    await end?.().catch(() => {}); // a subscription of a connection that is gone has ended too
  }

  /** Sessions have ended here. That others do not hear it is counted: they find it out where they ask the store. */
  say(ended: EndedSessions): void {
    this.#happened(ended);
    const { bus, issuer } = this.#parts;
    if (bus === undefined) return;
    const { subject = null, sessions, isAll } = ended;
    for (let from = 0; from === 0 || from < sessions.length; from += MAX_IDS) {
      const some = sessions.slice(from, from + MAX_IDS);
      const text = JSON.stringify([this.#instance, issuer, subject, some, isAll]);
      bus.publish(TOPIC, text).catch(() => this.failures++);
    }
  }

  #hear(text: string): void {
    if (this.#state === "closed") return;
    const ended = readMessage(text, this.#parts.issuer, this.#instance);
    if (ended !== undefined) this.#happened(ended);
  }

  #happened(ended: EndedSessions): void {
    this.#parts.forget(ended);
    for (const listener of this.#listeners)
      // The sessions have ended all the same; an async one may fail later.
      (async () => listener(ended))().catch((error: unknown) => publishUnhandled("task", error, { name: "onEnded" }));
  }
}

/** What another instance has said; `undefined` for what is of this one, of another issuer, or no message of ours. */
function readMessage(text: string, ours: string, instance: string): EndedSessions | undefined {
  if (text.length > MAX_MESSAGE) return undefined;
  try {
    const [from, issuer, subject, sessions, isAll] = JSON.parse(text) as readonly unknown[]; // each is looked at
    const isOfOther = typeof from === "string" && from !== instance && issuer === ours;
    const isKnown = subject === null || typeof subject === "string";
    if (!isOfOther || !isKnown || !isTexts(sessions) || typeof isAll !== "boolean") return undefined;
    return { subject: subject ?? undefined, sessions, isAll };
  } catch {
    return undefined;
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
