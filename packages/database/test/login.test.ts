import { createServer, type AddressInfo } from "node:net";
import { failure } from "@steward/testing";
import t from "tap";
import { DatabasePoolManager } from "../src/index.ts";
import { LoginWatch } from "../src/connections/login.ts";

/** A message of the protocol. */
function message(type: string, ...parts: (number | string)[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => {
      if (typeof part === "string") return Buffer.from(part);
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(part);
      return bytes;
    }),
  );
  const head = Buffer.from(`${type}....`);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

t.test("a server that asks for a lot of work, or sends nonsense, is no server to log in at", async (t) => {
  const scripts: readonly (readonly [(asked: string) => Buffer, RegExp])[] = [
    [
      (asked) =>
        asked.includes("n,,n=")
          ? message("R", 11, `r=${/r=([^,]+)/.exec(asked)?.[1]}x,s=c2FsdA==,i=2000000000`)
          : message("R", 10, "SCRAM-SHA-256\0\0"),
      /2000000000 rounds of SCRAM, 1000000 are allowed/,
    ],
    [() => Buffer.from([0x52, 0, 0, 0, 0, 0, 0, 0]), /a message of 0 bytes/],
    [() => Buffer.from([0x52, 0x10, 0, 0, 0, 0, 0, 0]), /a message of 268435456 bytes/],
  ];
  for (const [script, words] of scripts) {
    const server = createServer((socket) => {
      socket.on("error", () => {}).on("data", (asked) => socket.write(script(String(asked))));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    const { port } = server.address() as AddressInfo;
    const manager = new DatabasePoolManager({ url: `postgres://u:S3CR3T@127.0.0.1:${port}/d` });
    t.match(await failure(manager.start()), { code: "DATABASE_CONNECT_FAILED", message: words });
    await manager.stop();
    server.close();
  }
});

t.test("a login in any pieces is let through, and what follows it is not looked at", (t) => {
  const login = Buffer.concat([
    message("R", 10, "SCRAM-SHA-256\0\0"),
    message("R", 11, "r=abc,s=c2FsdA==,i=4096"),
    message("R", 0),
    message("S", "TimeZone\0UTC\0"),
    message("Z", "I"),
  ]);
  for (const size of [1, 3, 7, login.length]) {
    const watch = new LoginWatch();
    for (let at = 0; at < login.length; at += size)
      t.equal(watch.faultIn(login.subarray(at, at + size)), undefined, `${at} of pieces of ${size}`);
    t.equal(watch.faultIn(Buffer.from([0x44, 0x7f, 0, 0, 0])), undefined);
  }
  t.match(new LoginWatch().faultIn(message("R", 11, "r=abc,s=c2FsdA==,i=x")), /NaN rounds/);
  const chatty = new LoginWatch();
  const notices = Array.from({ length: 40 }, () => chatty.faultIn(message("N", "x".repeat(60_000))));
  t.match(notices.at(-1), /its login is longer/);
  t.end();
});
