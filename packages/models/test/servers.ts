import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";

/** A server on this machine, and where it is. */
export async function listening(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ url: string } & AsyncDisposable> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => (server.close(() => resolve()), server.closeAllConnections()));
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: close };
}

/** Serves a function of a Request, as frameworks do. */
export function served(handler: (request: Request) => Promise<Response>): ReturnType<typeof listening> {
  return listening(async (incoming, response) => {
    const { method = "GET", url = "/", headers } = incoming;
    const body = method === "POST" ? { body: Readable.toWeb(incoming) as ReadableStream, duplex: "half" as const } : {};
    const answer = await handler(
      new Request(`http://localhost${url}`, { method, headers: headers as Record<string, string>, ...body }),
    );
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
}
