import { type Arm, calls } from "../arms/arm.ts";

/** What of a guard an arm shows: arms of one kind do the same. */
export type GuardKind = "closed" | "breaker" | "open" | "failing, 100 samples" | "failing, 100,000 samples";

/** Makes one guarded call. A call that fails has to reject. */
export type Call = () => PromiseLike<unknown>;

/** What is guarded: the cheapest asynchronous work there is. */
export const work = async (): Promise<number> => 1;

/** The same that fails. The error is made once, so that its stack is not what is measured. */
export const failingWork = async (): Promise<number> => {
  throw failure;
};

const failure = new Error("down");

/** Makes calls before anything is measured. */
export const repeat = (call: Call, times: number): Promise<void> => calls(call)(times);

/** An arm that makes guarded calls, in turn with bare ones that succeed or fail as they do. */
export function guarded(name: string, kind: GuardKind, open: () => Call | Promise<Call>): Arm<GuardKind> {
  return {
    name,
    kind,
    async open() {
      const call = await open();
      const fails = kind !== "closed" && kind !== "breaker";
      return {
        run: calls(call),
        bare: calls(kind.startsWith("failing") ? failingWork : work),
        async check() {
          const outcome = await Promise.resolve(call()).then(
            () => "ok",
            () => "failed",
          );
          if ((outcome === "failed") !== fails)
            throw new Error(`"${name}" is to ${fails ? "fail" : "succeed"} and ${outcome}`);
        },
      };
    },
  };
}
