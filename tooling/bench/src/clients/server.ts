// An HTTP server as a process of its own: says its port, ends with its input.
import { createServer } from "node:http";

const body = Buffer.alloc(64, 97);
const server = createServer({ keepAliveTimeout: 60_000 }, (_request, response) => {
  response.setHeader("content-length", body.length).end(body);
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  console.log(typeof address === "object" && address !== null ? address.port : 0);
});
process.stdin.resume().once("end", () => process.exit());
