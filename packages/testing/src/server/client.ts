import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** An answer, as it came over the wire. */
export interface Answer {
  readonly status: number;
  /** In lower case; the last one where there are several. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** What is sent besides method and path. */
export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Opens a connection. Resets are what it is there for. */
export async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Sends a request over a connection. */
export function write(socket: Socket, path: string, { method = "GET", headers = {}, body }: Ask = {}): void {
  const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const all = Object.entries({ host: "127.0.0.1", ...length, ...headers });
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`);
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  socket.write(Buffer.concat([head, typeof body === "string" ? Buffer.from(body) : (body ?? Buffer.of())]));
}

/** Sends a request, and reads all that comes until the connection is closed; undefined where that is nothing. */
export async function ask(port: number, path: string, options: Ask = {}): Promise<Answer> {
  const socket = await open(port);
  write(socket, path, { ...options, headers: { connection: "close", ...options.headers } });
  return answerIn(await rest(socket));
}

/** All that comes over a connection until it is closed. */
export async function rest(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  if (!socket.destroyed) await once(socket, "close");
  return Buffer.concat(chunks).toString("latin1");
}

/** The first answer in what came. Its status is 0 where nothing came. */
export function answerIn(text: string): Answer {
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...lines] = text.slice(0, Math.max(end, 0)).split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  const body = text.slice(end + 4);
  return {
    status: Number(first.split(" ")[1] ?? 0),
    headers,
    text: headers["transfer-encoding"] === "chunked" ? joined(body) : body,
  };
}

function joined(chunked: string): string {
  let [text, at] = ["", 0];
  for (;;) {
    const end = chunked.indexOf("\r\n", at);
    const size = Number.parseInt(chunked.slice(at, end), 16);
    if (end < 0 || !(size > 0)) return text;
    text += chunked.slice(end + 2, end + 2 + size);
    at = end + 4 + size;
  }
}

/** Waits for the first bytes of an answer, then ends the connection without a word. */
export async function leaveAtFirstBytes(socket: Socket): Promise<void> {
  await Promise.race([once(socket, "data"), once(socket, "close")]);
  socket.destroy();
}
