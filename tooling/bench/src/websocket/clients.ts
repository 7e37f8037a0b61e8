// Many idle clients in a process of their own: node clients.js <port> <count>. Says "ready" when all are connected.
import { WebSocket } from "ws";

const [port = "", count = "0"] = process.argv.slice(2);
let open = 0;

function connect(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
    socket.once("open", () => (open++, resolve())).once("error", reject);
  });
}

while (open < Number(count)) await Promise.all(Array.from({ length: Math.min(200, Number(count) - open) }, connect));
console.log("ready");
process.stdin.resume().once("end", () => process.exit());
