import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { FakeClock } from "@steward/core/testing";
import { Balancer, type Target } from "../src/replicas/balancer.ts";
import { within } from "../src/replicas/places.ts";

/** How WebSockets are refused on these paths. */
const REFUSALS: Readonly<Record<string, string>> = {
  "/closed": "content-length: 2\r\n\r\nno",
  "/chunked": "transfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
};

/** A server behind a balancer. */
export class Backend implements AsyncDisposable {
  readonly seen: IncomingMessage[] = [];
  readonly server = createServer((request, response) => this.#answer(request, response));
  readonly target: Target;
  /** What `/readyz` says; 0 for nothing. */
  readiness = 200;
  #listener: RequestListener;

  private constructor(name: string, port: number, listener: RequestListener) {
    this.#listener = listener;
    this.target = { name, host: "127.0.0.1", port };
    this.server.on("upgrade", (request: IncomingMessage, socket, head: Buffer) => {
      this.seen.push(request);
      const refusal = REFUSALS[request.url ?? ""];
      if (refusal !== undefined) return void socket.end(`HTTP/1.1 403 Forbidden\r\n${refusal}`);
      socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
      socket.write(head);
      socket.pipe(socket);
    });
  }

  static async start(name: string, listener: RequestListener = (_request, response) => response.end(name), port = 0) {
    const listening = createServer().listen(port, "127.0.0.1");
    await once(listening, "listening");
    const { port: own } = listening.address() as AddressInfo; // it listens on TCP
    listening.close();
    await once(listening, "close");
    const backend = new Backend(name, own, listener);
    await once(backend.server.listen(own, "127.0.0.1"), "listening");
    return backend;
  }

  #answer(request: IncomingMessage, response: Parameters<RequestListener>[1]): void {
    if (request.url === "/readyz") return void (this.readiness !== 0 && response.writeHead(this.readiness).end());
    this.seen.push(request);
    this.#listener(request, response);
  }

  async end(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, "close");
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

/** A server, whatever it is. */
type Behind = Pick<Backend, "target">;

/** A balancer before some servers, on a clock that the test moves. */
export function balance(...backends: readonly Behind[]) {
  return balanceFor([], ...backends);
}

/** The same behind load balancers of these networks. */
export async function balanceFor(trusted: readonly string[], ...backends: readonly Behind[]) {
  const changes: string[] = [];
  const clock = new FakeClock();
  const balancer = new Balancer({
    clock,
    targets: backends.map(({ target }) => target),
    trusts: within(trusted),
    onChange: ({ name }, isIn, why) => changes.push(`${name} ${isIn ? "in" : "out"}: ${why}`),
  });
  const url = await balancer.start("127.0.0.1", 0);
  const end = async (): Promise<void> => {
    await balancer.drain();
    balancer.stop();
  };
  return { balancer, clock, changes, url, [Symbol.asyncDispose]: end };
}

/** What an address says, over a connection of its own. */
export async function ask(url: string): Promise<string> {
  const response = await fetch(url, { headers: { connection: "close" } });
  return `${response.status} ${await response.text()}`;
}
