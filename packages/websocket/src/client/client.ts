import { StewardError } from "@steward/core";
import { notForUsers, OptionsError } from "@steward/core/driver";
import type { HeadersSource } from "./connection/dial.ts";
import type { SessionPlan } from "./plan.ts";
import { WebSocketSession } from "./session.ts";

/** Where a named session leads, where that differs from the main one. */
export interface SessionTarget {
  /** One URL, or several that are tried in turn. */
  readonly url?: string | readonly string[] | undefined;
  /** Subprotocols to offer. */
  readonly protocols?: readonly string[] | undefined;
  /** Headers of the handshake, or a function that is asked before every connect. */
  readonly headers?: HeadersSource | undefined;
}

/** What the sessions of a client share. */
export interface ClientPlan {
  readonly resource: string;
  readonly maxSessions: number;
  /** The plan of a session. */
  readonly planOf: (name: string, target: SessionTarget | undefined) => SessionPlan;
  readonly refusal: () => StewardError | undefined;
}

/** The main session, and others by name: what users are handed. */
export class WebSocketClient extends WebSocketSession {
  readonly #clientPlan: ClientPlan;
  readonly #sessions = new Map<string, WebSocketSession>();

  constructor(plan: ClientPlan) {
    super(plan.planOf("main", undefined));
    this.#clientPlan = plan;
  }

  /**
   * The session of that name: the one there is, or a new one that begins to connect. A named session that is not used
   * for `idleSessionTimeoutMs` is closed; asking for it again makes a new one.
   *
   * @throws {RESOURCE_UNAVAILABLE} while the manager is not ready.
   * @throws {OVERLOADED} when there are `maxSessions` and none of them is idle.
   * @throws {OPTIONS_INVALID} for a wrong target, and without a URL where the main session has a `client` of yours instead.
   */
  session(name: string, target?: SessionTarget): WebSocketSession {
    if (typeof name !== "string") throw this.#wrong("name", "expected a string");
    const known = this.#sessions.get(name);
    if (known !== undefined) return known;
    const { refusal, planOf } = this.#clientPlan;
    const why = refusal();
    if (why !== undefined) throw why;
    const plan = planOf(name, target);
    if (plan.targets.length === 0)
      throw this.#wrong("url", "is missing: the client that was handed over is the main session's alone");
    this.#makeRoom();
    const onEnd = (): void => this.#forget(session);
    const session: WebSocketSession = new WebSocketSession({ ...plan, client: undefined, onEnd });
    this.#sessions.set(name, session);
    session.begin();
    return session;
  }

  /**
   * Refuses: the main session is shared, and its manager stops it. A named session may be ended by who asked for it.
   * @throws {LIFECYCLE_CONFLICT} always.
   */
  override end(_why?: string): Promise<void> {
    return Promise.reject(notForUsers(this.#clientPlan.resource, "end"));
  }

  /** All current sessions, the main one first. */
  get sessions(): readonly WebSocketSession[] {
    return [this, ...this.#sessions.values()];
  }

  #wrong(path: string, message: string): OptionsError {
    return new OptionsError([{ resource: `${this.#clientPlan.resource}: session`, path, message }]);
  }

  #forget(session: WebSocketSession): void {
    if (this.#sessions.get(session.name) === session) this.#sessions.delete(session.name);
  }

  #makeRoom(): void {
    const { maxSessions, resource } = this.#clientPlan;
    if (this.#sessions.size + 1 < maxSessions) return;
    const idle = [...this.#sessions.values()].filter((session) => session.isIdle).sort((a, b) => a.usedAt - b.usedAt);
    const [oldest] = idle;
    if (oldest !== undefined) return void oldest.finish("it made room for another session");
    throw new StewardError(
      "OVERLOADED",
      `${resource}: ${maxSessions} sessions are in use; raise maxSessions, or close some`,
      { resource, retryable: true },
    );
  }
}
