import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import type { S3Endpoint } from "../options.ts";

/** A storage in memory that checks signatures. */
export async function startRemote(): Promise<{ endpoint: S3Endpoint; close: () => Promise<void> }> {
  const [bucket, accessKey, secretKey] = ["clips", "access", "secret"];
  const objects = new Map<string, Uint8Array>();
  const server = createServer((request, response) => {
    void answer(request).then(([status, body]) => response.writeHead(status).end(body));
  });

  async function answer(request: IncomingMessage): Promise<[status: number, body?: Uint8Array | string]> {
    const { method = "", url = "", headers } = request;
    const { pathname, searchParams } = new URL(url, "http://storage");
    const signed = createHmac("sha256", secretKey).update(`${method} ${pathname} ${headers.date}`).digest("base64");
    if (headers.authorization !== `S3 ${accessKey}:${signed}`) return [403];
    const key = decodeURIComponent(pathname.slice(`/${bucket}/`.length));
    if (key === "") {
      const prefix = searchParams.get("prefix") ?? "";
      return method === "GET" ? [200, JSON.stringify([...objects.keys()].filter((k) => k.startsWith(prefix)))] : [400];
    }
    const object = objects.get(key);
    if (method === "GET") return object === undefined ? [404] : [200, object];
    if (method === "PUT") objects.set(key, await buffer(request));
    else objects.delete(key);
    return [204];
  }

  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new TypeError("a TCP server has a port");
  const close = async (): Promise<void> => {
    const closed = once(server.close(), "close");
    server.closeAllConnections();
    await closed;
  };
  return { endpoint: { url: `http://127.0.0.1:${address.port}`, bucket, accessKey, secretKey }, close };
}
