import type { Observation } from "./conditions.ts";
import type { AlertMessage } from "./message.ts";
import type { AlertRule } from "./options.ts";

const HOUR_MS = 3_600_000;

/** A moment, on the clock that measures and on the one that people read. */
export interface Moment {
  readonly now: number;
  readonly wall: number;
}

/** Where a rule is. */
type Stage =
  | { readonly name: "quiet" }
  /** It is so, for too short a time. */
  | { readonly name: "pending"; readonly since: number }
  /** It fires. `sentAt`: of its last message; `undefined` where none was sent yet, because there were too many. */
  | { readonly name: "firing"; readonly since: number; readonly sentAt: number | undefined };

const QUIET: Stage = { name: "quiet" };

/** What a rule says of itself. */
export interface RuleState {
  readonly state: Stage["name"];
  /** For how long it has been pending or firing, in ms; 0 while it is quiet. */
  readonly forMs: number;
  /** Messages that were not sent, as there were too many. */
  readonly suppressed: number;
}

/** A rule, and what it has said so far. */
export class WatchedRule {
  readonly rule: AlertRule;
  readonly #container: string;
  readonly #maxPerHour: number;
  #stage: Stage = QUIET;
  /** When messages of the last hour were sent. */
  #sent: number[] = [];
  #suppressed = 0;
  #suppressedInAll = 0;

  constructor(rule: AlertRule, container: string, maxPerHour: number) {
    this.rule = rule;
    this.#container = container;
    this.#maxPerHour = maxPerHour;
  }

  state(now: number): RuleState {
    const forMs = this.#stage.name === "quiet" ? 0 : now - this.#stage.since;
    return { state: this.#stage.name, forMs, suppressed: this.#suppressedInAll };
  }

  /** What is to be sent of what was seen. What cannot be seen changes nothing. */
  observe(seen: Observation | undefined, at: Moment): AlertMessage | undefined {
    if (seen === undefined) return undefined;
    return seen.holds ? this.#holds(seen, at) : this.#isOver(seen, at);
  }

  #holds(seen: Observation, at: Moment): AlertMessage | undefined {
    const since = this.#since(seen, at.now);
    if (this.#stage.name !== "firing") {
      const lasts = at.now - since >= (this.rule.forMs ?? 0);
      this.#stage = lasts ? { name: "firing", since, sentAt: undefined } : { name: "pending", since };
    }
    if (this.#stage.name !== "firing") return undefined;
    const { sentAt } = this.#stage;
    const { remindMs = Number.POSITIVE_INFINITY } = this.rule;
    if ((sentAt !== undefined && at.now - sentAt < remindMs) || !this.#mayBeSent(at.now)) return undefined;
    this.#stage = { ...this.#stage, sentAt: at.now };
    this.#sent.push(at.now);
    return this.#message(sentAt === undefined ? "firing" : "reminder", since, seen, at);
  }

  /** It was well in between where it says so itself, though no look fell into that time. */
  #since({ sinceMs }: Observation, now: number): number {
    const began = sinceMs === undefined ? undefined : now - sinceMs;
    if (this.#stage.name === "quiet") return began ?? now;
    return this.#stage.name === "pending" ? Math.max(this.#stage.since, began ?? 0) : this.#stage.since;
  }

  #isOver(seen: Observation, at: Moment): AlertMessage | undefined {
    const stage = this.#stage;
    this.#stage = QUIET;
    if (stage.name !== "firing") return undefined;
    if (stage.sentAt !== undefined) return this.#message("resolved", stage.since, seen, at);
    this.#suppressed++;
    this.#suppressedInAll++;
    return undefined;
  }

  #mayBeSent(now: number): boolean {
    this.#sent = this.#sent.filter((sentAt) => now - sentAt < HOUR_MS);
    return this.#sent.length < this.#maxPerHour;
  }

  #message(status: AlertMessage["status"], since: number, seen: Observation, { now, wall }: Moment): AlertMessage {
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    const lasted = inWords(now - since);
    const what = status === "resolved" ? `over after ${lasted}` : seen.text;
    const more = status === "reminder" ? `, for ${lasted}` : "";
    return Object.freeze({
      rule: this.rule.name,
      status,
      text: `${this.#container === "" ? "" : `${this.#container}: `}${this.rule.name}: ${what}${more}`,
      container: this.#container,
      since: new Date(wall - (now - since)).toISOString(),
      at: new Date(wall).toISOString(),
      value: seen.value,
      suppressed,
    });
  }
}

/** A duration as people say it. */
function inWords(ms: number): string {
  if (ms < 60_000) return `${Math.round(ms / 1_000)} s`;
  return ms < HOUR_MS ? `${Math.round(ms / 60_000)} min` : `${Math.round((ms / HOUR_MS) * 10) / 10} h`;
}
