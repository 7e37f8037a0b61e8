import type { Clock, Timer } from "@steward/core";

/** How it stands between an instance and Redis. */
export type LinkState =
  | { readonly kind: "up" }
  /** Redis does not answer: the instance decides alone. */
  | { readonly kind: "away"; readonly since: number; readonly cause: unknown }
  /** Redis answers again, and other instances may not have noticed yet: the instance still decides alone. */
  | { readonly kind: "returning"; readonly since: number; readonly cause: unknown }
  /** The last of what was counted alone is being added: calls wait for that, for at most one timeout. */
  | { readonly kind: "joining"; readonly since: number; readonly cause: unknown; readonly end: Promise<void> };

/** What a {@link Link} works on. */
export interface LinkParts {
  readonly clock: Clock;
  /** Asks Redis for a sign of life. */
  readonly ask: () => Promise<void>;
  /** Adds what was counted here alone to Redis, each key within that time. */
  readonly merge: (timeoutMs: number) => Promise<void>;
  /** Longest wait of a caller, in ms. */
  readonly timeoutMs: number;
  /** Called when the instance begins or ends deciding alone. */
  readonly onChange: () => void;
}

/** Between two questions to a Redis that does not answer, in ms. The same in all instances. */
const RETRY_MS = 500;
/** How long adding a key may take while no one waits for it, in ms. */
const MERGE_MS = 2_000;
/** By then every instance has noticed that Redis is back, and has added what it counted alone, in ms. */
const SETTLE_MS = 2 * RETRY_MS + 500;

/**
 * Knows whether Redis can be counted on. When one call fails, the instance decides alone until Redis has answered, all
 * instances have had the time to notice it, and what each counted alone has been added: so an outage gives no fresh budget.
 */
export class Link {
  readonly #parts: LinkParts;
  #state: LinkState = { kind: "up" };
  #timer: Timer | undefined;
  #isOpen = true;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** True while the instance decides alone. */
  get isAlone(): boolean {
    return this.#state.kind === "away" || this.#state.kind === "returning";
  }

  /** Resolves when calls can be decided again, where they have to wait for that. */
  get joining(): Promise<void> | undefined {
    return this.#state.kind === "joining" ? this.#state.end : undefined;
  }

  open(): void {
    this.#isOpen = true;
  }

  /** A call got no answer. */
  failed(cause: unknown): void {
    if (this.#state.kind !== "up" || !this.#isOpen) return;
    this.#state = { kind: "away", since: this.#parts.clock.now(), cause };
    this.#parts.onChange();
    void this.#ask(true);
  }

  /** Ends its timer, and forgets what it knew. */
  close(): void {
    this.#isOpen = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#state = { kind: "up" };
  }

  /** @param isFirst Right after the failure: where Redis answers at once, no other instance has noticed anything. */
  async #ask(isFirst: boolean): Promise<void> {
    const { ask, merge } = this.#parts;
    try {
      await ask();
      await merge(MERGE_MS);
    } catch (cause) {
      return this.#stillAway(cause);
    }
    if (!this.#isOpen || this.#state.kind !== "away") return;
    this.#state = { ...this.#state, kind: "returning" };
    if (isFirst) this.#join();
    else this.#after(SETTLE_MS, () => this.#settle());
  }

  async #settle(): Promise<void> {
    try {
      await this.#parts.merge(MERGE_MS);
    } catch (cause) {
      return this.#stillAway(cause);
    }
    if (this.#isOpen) this.#join();
  }

  /** From here on nothing is charged here alone, so what is added now is all that was left. */
  #join(): void {
    const { state } = this;
    if (state.kind !== "returning") return;
    const joined = (): void => {
      if (!this.#isOpen) return;
      this.#state = { kind: "up" };
      this.#parts.onChange();
    };
    const end = this.#parts.merge(this.#parts.timeoutMs).then(joined, (cause: unknown) => this.#stillAway(cause));
    this.#state = { ...state, kind: "joining", end };
  }

  #stillAway(cause: unknown): void {
    if (!this.#isOpen || this.#state.kind === "up") return;
    this.#state = { kind: "away", since: this.#state.since, cause };
    this.#after(RETRY_MS, () => this.#ask(false));
  }

  #after(delayMs: number, next: () => Promise<void>): void {
    this.#timer = this.#parts.clock.setTimeout(() => void next(), delayMs, { unref: true });
  }
}
