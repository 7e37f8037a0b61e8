import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { sample, SampleManager } from "./manager.ts";
import type { SampleOptions } from "./options.ts";

/** A sample whose remote is part of the test. */
export interface SampleForTests extends AsyncDisposable {
  /** Takes the place of a sample in a container, by `override`. */
  readonly definition: ReturnType<typeof sample>;
  /** The same without a container. */
  readonly manager: SampleManager;
  /** TCP port of the remote on 127.0.0.1. */
  readonly port: number;
}

/**
 * A sample for tests, with a remote of its own that answers with what it was sent. Disposing it ends the remote.
 *
 * @example
 * ```ts
 * import { sampleForTests } from "@steward/sample/testing";
 * await using things = await sampleForTests();
 * await using manager = await things.manager.start();
 * console.log(await manager.client.call("hi")); // => hi
 * ```
 */
export async function sampleForTests(
  name: string = "sample",
  options: Omit<SampleOptions, "host" | "port"> = {},
): Promise<SampleForTests> {
  const { port, close } = await startRemote();
  const given = { ...options, port };
  return {
    definition: sample(name, given),
    manager: new SampleManager(given, { name }),
    port,
    [Symbol.asyncDispose]: close,
  };
}

/** Replace it with a launcher of the real server. */
async function startRemote(): Promise<{ port: number; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}).on("close", () => sockets.delete(socket)));
    const answer = (line: string): boolean => socket.write(line === "" ? "-nothing to do\n" : `${line}\n`);
    // The interface emits the errors of its socket once more.
    createInterface({ input: socket })
      .on("line", answer)
      .on("error", () => {});
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new TypeError("a TCP server has a port");
  const close = async (): Promise<void> => {
    const closed = once(server.close(), "close");
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return { port: address.port, close };
}
