import { Guard, StewardError, type GuardOptions } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

/** A remote that a test can take down, freeze, or make slow, and what was asked of it. */
export class Remote {
  readonly clock: FakeClock;
  state: "well" | "refuses" | "frozen" = "well";
  latencyMs = 5;
  questions = 0;
  /** Whether questions are answered though calls are not. */
  answersQuestions = false;

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  async call(): Promise<string> {
    if (this.state === "refuses") throw new Error("connect ECONNREFUSED");
    if (this.state === "frozen") await new Promise(() => {});
    await this.clock.sleep(this.latencyMs);
    return "answer";
  }

  async ask(): Promise<void> {
    this.questions++;
    if (!this.answersQuestions) await this.call();
  }
}

export interface Scene {
  readonly clock: FakeClock;
  readonly remote: Remote;
  readonly guard: Guard;
  /** 50 calls a second for so many ms; gives how many failed by code. */
  load(ms: number): Promise<Record<string, number>>;
}

/** A guard before a remote that can be asked. */
export function scene(options: Partial<GuardOptions> = {}): Scene {
  const clock = new FakeClock();
  const remote = new Remote(clock);
  const guard = new Guard({
    resource: "api",
    clock,
    timeoutMs: 30_000,
    breaker: {},
    ask: () => remote.ask(),
    ...options,
  });
  const load = async (ms: number): Promise<Record<string, number>> => {
    const failed: Record<string, number> = {};
    for (let at = 0; at < ms; at += 20) {
      guard
        .run(() => remote.call())
        .catch((error: unknown) => {
          const code = error instanceof StewardError ? error.code : "failed";
          failed[code] = (failed[code] ?? 0) + 1;
        });
      await clock.advance(20);
    }
    return failed;
  };
  return { clock, remote, guard, load };
}
