// A service whose cleanup never ends: in one resource, or in all of a chain, so that timeouts add up.
import { container, runMain } from "@steward/container";
import { resource, type Definition } from "@steward/core";

const never = (): Promise<never> => new Promise<never>(() => {});

const [how = ""] = process.argv.slice(2);

/** One resource with the default limits, one that asks for more than there is, or four that need each other. */
function roots(): Definition<unknown, string, never>[] {
  const one = resource("uploads", { start: () => 1, stop: never });
  if (how === "one") return [one];
  if (how === "patient") return [resource("uploads", { start: () => 1, stop: never, stopTimeoutMs: 3_600_000 })];
  const two = resource("second", { needs: { one }, start: () => 2, drain: never, stop: never });
  const three = resource("third", { needs: { two }, start: () => 3, drain: never, stop: never });
  return [resource("fourth", { needs: { three }, start: () => 4, drain: never, stop: never })];
}

await runMain(container(roots()), { onReady: () => console.log("up") });
