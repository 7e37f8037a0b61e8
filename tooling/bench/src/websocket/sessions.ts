// Sessions of ours in a process of their own: node sessions.js <url> <count>. Says "ready" when all are connected.
import { WebSocketSessionManager } from "@steward/websocket";

const [url = "", count = "0"] = process.argv.slice(2);
const options = { url, maxSessions: Number(count) + 1, reconnectMinMs: 5_000, reconnectMaxMs: 5_000 };
const manager = await new WebSocketSessionManager(options).start();
for (let i = 1; i < Number(count); i++) {
  const session = manager.client.session(String(i));
  if (i % 50 === 0) await session.ready();
}
await Promise.all(manager.client.sessions.map((session) => session.ready()));
console.log("ready");
process.stdin.resume().once("end", () => process.exit());
