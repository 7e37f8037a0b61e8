import { connect, type Socket } from "node:net";
import { ASKED, type Question } from "./graph.ts";

const CONNECTIONS = 16;

/** Asks a server `requests` times over a few kept connections; every answer has to be right. */
export async function load(port: number, requests: number, question: Question = ASKED): Promise<void> {
  let left = requests;
  const take = (): boolean => left-- > 0;
  await Promise.all(Array.from({ length: CONNECTIONS }, () => client(port, take, question)));
}

function bytesOf({ path, headers }: Question): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${lines.join("")}\r\n`);
}

function client(port: number, take: () => boolean, question: Question): Promise<void> {
  const asked = bytesOf(question);
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.setNoDelay(true);
    socket.on("error", reject);
    socket.on("close", () => resolve());
    let answer = "";
    socket.on("connect", () => next(socket, take, asked));
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
      const complete = answer.endsWith(question.body);
      if (complete) answer = "";
      if (complete) next(socket, take, asked);
      else if (answer.includes("\r\n\r\n") && answer.length > 4_000)
        socket.destroy(new Error(`wrong answer: ${answer.slice(0, 400)}`));
    });
  });
}

function next(socket: Socket, take: () => boolean, asked: Buffer): void {
  if (take()) socket.write(asked);
  else socket.end();
}
