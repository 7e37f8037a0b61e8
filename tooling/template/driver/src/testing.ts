import { sample, SampleManager } from "./manager.ts";
import type { SampleOptions, SampleEndpoint } from "./options.ts";
import { startRemote } from "./testing/remote.ts";

/** A sample whose remote is part of the test. */
export interface SampleForTests extends AsyncDisposable {
  /** Takes the place of a sample in a container, by `override`. */
  readonly definition: ReturnType<typeof sample>;
  /** The same without a container. */
  readonly manager: SampleManager;
  /** Where the remote is: options for a manager of your own. */
  readonly endpoint: SampleEndpoint;
}

/**
 * A sample for tests, with a remote of its own. Disposing it ends the remote.
 *
 * @example
 * ```ts
 * import { sampleForTests } from "@steward/sample/testing";
 * await using things = await sampleForTests();
 * await using manager = await things.manager.start();
 * console.log(manager.phase); // => ready
 * ```
 */
export async function sampleForTests(
  name: string = "sample",
  options: Omit<SampleOptions, keyof SampleEndpoint> = {},
): Promise<SampleForTests> {
  const { endpoint, close } = await startRemote();
  const given = { ...options, ...endpoint };
  return {
    definition: sample(name, given),
    manager: new SampleManager(given, { name }),
    endpoint,
    [Symbol.asyncDispose]: close,
  };
}
