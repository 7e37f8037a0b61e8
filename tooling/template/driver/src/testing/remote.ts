import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { SampleEndpoint } from "../options.ts";

/** A remote that answers with what it was sent. Replace it with a launcher of the real server. */
export async function startRemote(): Promise<{ endpoint: SampleEndpoint; close: () => Promise<void> }> {
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
  return { endpoint: { url: `tcp://127.0.0.1:${address.port}` }, close };
}
