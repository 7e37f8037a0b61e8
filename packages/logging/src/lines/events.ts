import {
  CHANNELS,
  isStewardError,
  type BackgroundEvent,
  type BreakerEvent,
  type ConfigEvent,
  type ExposureEvent,
  type HealthEvent,
  type RestartEvent,
  type ShutdownEvent,
  type StateEvent,
} from "@steward/core";
import { describeError } from "@steward/core/driver";
import { subscribe, unsubscribe } from "node:diagnostics_channel";

interface Events {
  readonly state: StateEvent;
  readonly health: HealthEvent;
  readonly restart: RestartEvent;
  readonly shutdown: ShutdownEvent;
  readonly background: BackgroundEvent;
  readonly breaker: BreakerEvent;
  readonly config: ConfigEvent;
  readonly exposure: ExposureEvent;
}

/** Events of which a line is written, by the key of their channel in `CHANNELS`. */
export type Listened = keyof Events;

/** All of them. */
export const LISTENED: readonly Listened[] = [
  "state",
  "health",
  "restart",
  "shutdown",
  "background",
  "breaker",
  "config",
  "exposure",
];

/** What is written of an event. */
export interface EventLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
}

const HEALTH = { healthy: "info", unknown: "info", degraded: "warn", unhealthy: "error" } as const;
const CONFIG = { changed: "info", refused: "error", warning: "warn" } as const;
const AFTER_WORK = new Set(["ready", "stopped"]);

/** What was given up because another resource failed: the error of that one has its own line. */
const isGivenUp = (error: unknown): boolean => isStewardError(error) && error.code === "START_ABORTED";

const because = (reason: unknown): string => (reason === undefined ? "" : `: ${describeError(reason)}`);
const failed = (error: unknown): object => (error === undefined ? {} : { err: error });
const levelOf = (error: unknown): "info" | "error" => (error === undefined ? "info" : "error");

const LINES: { readonly [K in Listened]: (event: Events[K]) => EventLine } = {
  state: ({ resource, from, to, error }) =>
    isGivenUp(error)
      ? { level: "info", fields: { resource, from, to }, text: describeError(error) }
      : {
          level: to === "failed" ? "error" : AFTER_WORK.has(to) ? "info" : "debug",
          fields: { resource, from, to, ...failed(error) },
          text: `${resource}: ${to}${because(error)}`,
        },
  health: ({ container, resource, from, to, reason }) => ({
    level: from === "unknown" && to === "healthy" ? "debug" : HEALTH[to], // as was to be expected
    fields: { container, resource, from, to, reason },
    text: `${resource}: ${to}${because(reason)}`,
  }),
  restart: ({ container, resource, step, durationMs, error }) => ({
    level: step === "failed" ? "error" : "info",
    fields: { container, resource, step, durationMs, ...failed(error) },
    text: `${resource}: restart ${step}${because(error)}`,
  }),
  shutdown: ({ container, phase, durationMs, error }) => ({
    level: levelOf(error),
    fields: { container, phase, durationMs, ...failed(error) },
    text: `${container}: shutdown ${phase}${because(error)}`,
  }),
  background: ({ container, resource, error, againInMs }) => ({
    level: againInMs === undefined ? "error" : "warn",
    fields: { container, resource, againInMs, err: error },
    text: describeError(error),
  }),
  breaker: ({ resource, subject, from, to, reason }) => ({
    level: to === "closed" || to === "half-open" ? "info" : "warn",
    fields: { resource, subject, from, to, reason },
    text: `${subject}: circuit ${to}`,
  }),
  config: ({ resource, kind, generation, changes, message }) => ({
    level: CONFIG[kind],
    fields: { resource, kind, generation, changes },
    text: message,
  }),
  exposure: ({ resource, what, how, remedy, message }) => ({
    level: "warn",
    fields: { resource, what, how, remedy },
    text: message,
  }),
};

/** What hears of events. */
export interface EventListener {
  readonly listened: readonly Listened[];
  readonly write: (line: EventLine) => void;
  /** Nothing is heard any more. */
  readonly closed: () => void;
}

/**
 * Hears the events of resources from `open` to `close`. A container stops its resources in an order of its own and says
 * at the end that it has stopped, so what is closed by that hears of all the others until then.
 */
export class EventLines {
  readonly #listener: EventListener;
  readonly #heard = new Map<Listened, (event: unknown) => void>();
  readonly #stopping = new Set<string>();
  #closing = false;

  constructor(listener: EventListener) {
    this.#listener = listener;
  }

  open(): void {
    this.#closing = false;
    for (const kind of LISTENED) if (kind === "shutdown" || this.#isListened(kind)) this.#hear(kind);
  }

  close(): void {
    this.#closing = true;
    this.#closeWhenStopped();
  }

  #isListened(kind: Listened): boolean {
    return this.#listener.listened.includes(kind);
  }

  #hear<K extends Listened>(kind: K): void {
    if (this.#heard.has(kind)) return;
    const listener = (event: unknown): void => this.#on(kind, event as Events[K]); // what core publishes there
    this.#heard.set(kind, listener);
    subscribe(CHANNELS[kind], listener);
  }

  #on<K extends Listened>(kind: K, event: Events[K]): void {
    if (this.#isListened(kind)) {
      const line = LINES[kind](event);
      this.#listener.write({ ...line, fields: { event: kind, ...line.fields } });
    }
    if (kind === "shutdown") this.#follow(event as ShutdownEvent); // of this kind
  }

  #follow({ container, phase }: ShutdownEvent): void {
    if (phase !== "stopped") this.#stopping.add(container);
    else this.#stopping.delete(container);
    this.#closeWhenStopped();
  }

  #closeWhenStopped(): void {
    if (!this.#closing || this.#stopping.size > 0) return;
    for (const [kind, listener] of this.#heard) unsubscribe(CHANNELS[kind], listener);
    this.#heard.clear();
    this.#listener.closed();
  }
}
