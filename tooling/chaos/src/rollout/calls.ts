import { checkHealth, GrpcChannelManager } from "@steward/grpc";
import type { Balancer } from "./balancer.ts";
import { Losses, Rate } from "../rate.ts";

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
  readonly #rate: Rate;
  readonly #losses = new Losses();

  private constructor(manager: GrpcChannelManager, share: number) {
    this.#manager = manager;
    this.#rate = new Rate(RATE * share, async () => {
      try {
        const answer = await checkHealth(manager.client);
        if (answer !== "SERVING") this.#losses.add(`answered ${answer}`);
      } catch (error) {
        this.#losses.add(error);
      }
    });
  }

  static async start(balancer: Balancer, share: number): Promise<Calls> {
    return new Calls(await new GrpcChannelManager({ address: balancer.grpcTarget, timeoutMs: 5_000 }).start(), share);
  }

  /** Makes no more calls and waits for those under way. */
  async end(): Promise<CallResult> {
    await this.#rate.end();
    await this.#manager[Symbol.asyncDispose]();
    return { calls: this.#rate.begun, lost: this.#losses.counts };
  }
}
