import { connect } from "node:net";

/** A reply of a Redis server; an error reply is a value here. */
export type RedisReply = string | number | null | Error | readonly RedisReply[];

/** Where a command goes. */
export interface RedisTarget {
  readonly port: number;
  readonly password?: string | undefined;
}

const REPLY_TIMEOUT_MS = 2_000;

/**
 * Sends commands to a Redis on 127.0.0.1 over a connection of its own and gives the last one's reply.
 *
 * Just enough of the protocol to set servers up without a client library.
 */
export async function redisCommand(target: RedisTarget, ...command: readonly (string | number)[]): Promise<RedisReply> {
  const commands = target.password === undefined ? [command] : [["AUTH", target.password], command];
  const replies = await exchange(target.port, commands.map(encode).join(""), commands.length);
  const failed = replies.find((reply) => reply instanceof Error);
  if (failed instanceof Error) throw failed;
  return replies.at(-1) ?? null;
}

function encode(command: readonly (string | number)[]): string {
  const words = command.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`);
  return `*${command.length}\r\n${words.join("")}`;
}

function exchange(port: number, request: string, count: number): Promise<RedisReply[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let received = "";
    socket.setTimeout(REPLY_TIMEOUT_MS, () =>
      socket.destroy(new Error(`no reply from port ${port} within ${REPLY_TIMEOUT_MS} ms`)),
    );
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      received += chunk;
      const replies = decode(received, count);
      if (replies === undefined) return;
      socket.destroy();
      resolve(replies);
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`port ${port} closed the connection without a reply`)));
    socket.write(request);
  });
}

/** The first `count` replies of the text, or `undefined` while they are incomplete. */
function decode(text: string, count: number): RedisReply[] | undefined {
  const reader = new Reader(text);
  const replies: RedisReply[] = [];
  while (replies.length < count) {
    const reply = reader.next();
    if (reply === undefined) return undefined;
    replies.push(reply);
  }
  return replies;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  next(): RedisReply | undefined {
    const line = this.#line();
    if (line === undefined) return undefined;
    const body = line.slice(1);
    switch (line[0]) {
      case "+":
        return body;
      case "-":
        return new Error(body);
      case ":":
        return Number(body);
      case "$":
        return Number(body) < 0 ? null : this.#bulk(Number(body));
      default:
        return Number(body) < 0 ? null : this.#list(Number(body));
    }
  }

  #line(): string | undefined {
    const end = this.#text.indexOf("\r\n", this.#at);
    if (end < 0) return undefined;
    const line = this.#text.slice(this.#at, end);
    this.#at = end + 2;
    return line;
  }

  // Lengths count bytes; what we read (INFO, CLUSTER, SENTINEL) is ASCII, where bytes are characters.
  #bulk(length: number): string | undefined {
    if (this.#text.length < this.#at + length + 2) return undefined;
    const value = this.#text.slice(this.#at, this.#at + length);
    this.#at += length + 2;
    return value;
  }

  #list(length: number): RedisReply[] | undefined {
    const items: RedisReply[] = [];
    while (items.length < length) {
      const item = this.next();
      if (item === undefined) return undefined;
      items.push(item);
    }
    return items;
  }
}

/** The `name:value` lines of `INFO`. */
export async function redisInfo(target: RedisTarget, section: string): Promise<ReadonlyMap<string, string>> {
  const text = await redisCommand(target, "INFO", section);
  const lines = String(text).split("\r\n");
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]));
}
