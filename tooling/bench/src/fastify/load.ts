import { connect, type Socket } from "node:net";
import { ASKED } from "./graph.ts";

const CONNECTIONS = 16;

/** Asks a server `requests` times over a few kept connections; every answer has to be right. */
export async function load(port: number, requests: number): Promise<void> {
  let left = requests;
  const take = (): boolean => left-- > 0;
  await Promise.all(Array.from({ length: CONNECTIONS }, () => client(port, take)));
}

const head = Object.entries(ASKED.headers)
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join("");
const asked = Buffer.from(`GET ${ASKED.path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${head}\r\n`);

function client(port: number, take: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.setNoDelay(true);
    socket.on("error", reject);
    socket.on("close", () => resolve());
    let answer = "";
    socket.on("connect", () => next(socket, take));
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
      const complete = answer.endsWith(ASKED.body);
      if (complete) answer = "";
      if (complete) next(socket, take);
      else if (answer.includes("\r\n\r\n") && answer.length > 4_000)
        socket.destroy(new Error(`wrong answer: ${answer.slice(0, 400)}`));
    });
  });
}

function next(socket: Socket, take: () => boolean): void {
  if (take()) socket.write(asked);
  else socket.end();
}
