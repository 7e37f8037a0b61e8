// A program that owns a server and waits to be killed. It ignores Ctrl-C, as an app does that drains.
import { claimFolder } from "../../src/process/ownership.ts";
import { startPostgres, startRedis } from "../../src/index.ts";

const [kind, folder = ""] = process.argv.slice(2);
process.on("SIGINT", () => console.log("interrupted"));
setInterval(() => {}, 60_000);
// The test is gone, so nobody would end us.
process.on("disconnect", () => process.exit());

if (kind === "claim") {
  const { owner } = await claimFolder(folder);
  console.log(JSON.stringify({ won: owner === undefined }));
} else {
  const server = kind === "redis" ? await startRedis() : await startPostgres(folder === "" ? {} : { dataDir: folder });
  const shared = "shared" in server && server.shared;
  console.log(JSON.stringify({ pid: server.pid, url: server.url, shared }));
  process.on("message", () => void server.stop().then(() => process.disconnect()));
}
