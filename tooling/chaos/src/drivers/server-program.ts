// A small server as a process of its own, so that it can be killed and frozen: node server-program.js <kind> <port> <log>.
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from "@grpc/grpc-js";
import { WebSocketServer } from "ws";
import { echoService } from "./echo.ts";

const [kind = "", port = "0", log = ""] = process.argv.slice(2);

/** Carries out `r`, `w <id>` or `s <ms>`. A write is in the file before the answer, so that it outlives a kill. */
async function carryOut(asked: string): Promise<string> {
  if (asked.startsWith("w ")) appendFileSync(log, `${asked.slice(2)}\n`);
  if (asked.startsWith("s ")) await sleep(Number(asked.slice(2)));
  return "a".repeat(64);
}

function ready(bound: unknown): void {
  process.send?.(bound);
}

const http = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  request.resume();
  const asked = new URL(request.url ?? "/", "http://localhost").searchParams.get("do") ?? "r";
  void carryOut(asked).then((body) => response.setHeader("content-length", body.length).end(body));
});

function listen(): void {
  http.listen(Number(port), "127.0.0.1", () => {
    const address = http.address();
    ready(typeof address === "object" && address !== null ? address.port : 0);
  });
}

function serveWebSockets(): void {
  new WebSocketServer({ server: http, perMessageDeflate: false }).on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("message", (data) => {
      const { id, call } = JSON.parse(String(data)) as { readonly id: number; readonly call: string }; // our clients send it
      void carryOut(call).then((ok) => socket.send(JSON.stringify({ id, ok })));
    });
  });
  listen();
}

function serveGrpc(): void {
  const server = new Server();
  server.addService(echoService, {
    Say: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) =>
      void carryOut(String(call.request)).then((body) => answer(null, Buffer.from(body))),
  });
  server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
    if (error !== null) throw error;
    ready(bound);
  });
}

if (kind === "grpc") serveGrpc();
else if (kind === "websocket") serveWebSockets();
else listen();
process.on("disconnect", () => process.exit());
