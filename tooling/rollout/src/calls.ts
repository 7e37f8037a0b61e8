import { checkHealth, GrpcChannelManager } from "@steward/grpc";
import type { Balancer } from "./balancer.ts";
import { Losses, Pace } from "./losses.ts";

const RATE = 50;

/** What became of unary calls. */
export interface CallResult {
  readonly calls: number;
  /** Calls that failed, by what happened. */
  readonly lost: ReadonlyMap<string, number>;
}

/** Makes 50 unary calls a second over one channel. No call is made again: what fails is lost. */
export class Calls {
  readonly #manager: GrpcChannelManager;
  readonly #pace: Pace;
  readonly #losses = new Losses();

  private constructor(manager: GrpcChannelManager) {
    this.#manager = manager;
    this.#pace = new Pace(RATE, async () => {
      try {
        const answer = await checkHealth(manager.client);
        if (answer !== "SERVING") this.#losses.add(`answered ${answer}`);
      } catch (error) {
        this.#losses.add(error);
      }
    });
  }

  static async start(balancer: Balancer): Promise<Calls> {
    return new Calls(await new GrpcChannelManager({ address: balancer.grpcTarget, timeoutMs: 5_000 }).start());
  }

  /** Makes no more calls and waits for those under way. */
  async end(): Promise<CallResult> {
    await this.#pace.end();
    await this.#manager[Symbol.asyncDispose]();
    return { calls: this.#pace.begun, lost: this.#losses.counts };
  }
}
