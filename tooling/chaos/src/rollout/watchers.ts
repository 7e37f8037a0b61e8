import { WebSocketSessionManager, type WebSocketSession } from "@steward/websocket";
import type { Balancer } from "./balancer.ts";
import { saidBy } from "./load.ts";
import { Losses, Rate } from "../rate.ts";

const RATE = 3;
const WATCHERS = 10;
/** A video of 20 s has 20 steps. */
const VIDEO = { title: "rollout", sourceUrl: "https://example.com/rollout.mp4", durationMs: 20_000 };
const VIDEOS = "/api/v1/videos";
/** A job whose end no push has said by then is lost. */
const PATIENCE_MS = 60_000;

/** What became of jobs that watchers posted and followed. */
export interface WatchResult {
  readonly jobs: number;
  /** Messages about them. */
  readonly pushes: number;
  /** How often a socket was replaced by another. */
  readonly reconnects: number;
  /** Jobs that were not taken, not done, or whose progress was not said to its end, by what happened. */
  readonly lost: ReadonlyMap<string, number>;
}

interface Progress {
  readonly status: string;
  readonly progress: number;
}

/** Posts three jobs a second; watchers over WebSockets have to hear the progress of each, in order, to its end. */
export class Watchers {
  readonly #balancer: Balancer;
  readonly #manager: WebSocketSessionManager;
  readonly #sessions: readonly WebSocketSession[];
  readonly #rate: Rate;
  readonly #losses = new Losses();
  #pushes = 0;
  #reconnects = 0;

  private constructor(balancer: Balancer, manager: WebSocketSessionManager, share: number) {
    this.#balancer = balancer;
    this.#manager = manager;
    this.#sessions = Array.from({ length: WATCHERS }, (_, i) => manager.client.session(`watcher ${i}`));
    for (const session of this.#sessions) session.on("close", () => this.#reconnects++);
    this.#rate = new Rate(RATE * share, (index) => this.#follow(this.#sessions[index % WATCHERS] as WebSocketSession)); // below WATCHERS
  }

  static async start(balancer: Balancer, share: number): Promise<Watchers> {
    const options = { url: balancer.webSocketUrls, offline: "wait" as const, timeoutMs: 10_000 };
    return new Watchers(balancer, await new WebSocketSessionManager(options).start(), share);
  }

  async #follow(session: WebSocketSession): Promise<void> {
    try {
      const { id } = await this.#post(VIDEOS, VIDEO, 201);
      const heard = deferred();
      let last = -1;
      const quit = await session.join(`video:${id}`, ({ data }) => {
        const { status, progress } = data as Progress; // what Clips sends to rooms of videos
        this.#pushes++;
        if (progress < last) heard.reject(new Error(`progress went from ${last} back to ${progress}`));
        last = progress;
        if (status === "failed") heard.reject(new Error("the job failed"));
        if (status === "done") heard.resolve();
      });
      await this.#post(`${VIDEOS}/${id}/process`, {}, 202);
      const timer = setTimeout(() => heard.reject(new Error("no end was heard")), PATIENCE_MS);
      await heard.promise.finally(() => clearTimeout(timer));
      await quit();
    } catch (error) {
      this.#losses.add(error);
    }
  }

  async #post(path: string, body: unknown, wanted: number): Promise<{ readonly id: string }> {
    const answer = await this.#balancer.request(path, body);
    if (answer.status !== wanted) throw new Error(`POST: status ${answer.status} ${saidBy(answer.body)}`);
    return JSON.parse(answer.body) as { readonly id: string }; // of what was made
  }

  /** Posts no more jobs and waits until the end of each was heard. */
  async end(): Promise<WatchResult> {
    await this.#rate.end();
    const reconnects = this.#reconnects;
    await this.#manager[Symbol.asyncDispose]();
    return { jobs: this.#rate.begun, pushes: this.#pushes, reconnects, lost: this.#losses.counts };
  }
}

function deferred(): {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
} {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((yes, no) => ([resolve, reject] = [yes, no]));
  promise.catch(() => {}); // it may be rejected before anybody waits
  return { promise, resolve, reject };
}
