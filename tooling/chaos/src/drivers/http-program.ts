// A small HTTP server as a process of its own, so that it can be killed and frozen.
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const [port = "0", log = ""] = process.argv.slice(2);
const body = Buffer.alloc(64, 97);

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  // Written before the reply, so that it outlives a kill.
  if (request.method === "POST") appendFileSync(log, `${url.searchParams.get("id")}\n`);
  request.resume();
  const answer = (): void => void response.setHeader("content-length", body.length).end(body);
  const waitMs = Number(url.searchParams.get("wait") ?? 0);
  if (waitMs > 0) setTimeout(answer, waitMs);
  else answer();
});
server.listen(Number(port), "127.0.0.1", () => {
  const address = server.address();
  process.send?.(typeof address === "object" && address !== null ? address.port : 0);
});
process.on("disconnect", () => process.exit());
