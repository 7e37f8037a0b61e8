import { FakeClock, until } from "@steward/testing";
import t from "tap";
import { ConfigManager, source } from "../src/index.ts";
import { DATABASE_URL, schema } from "./clips.ts";
import { Folder } from "./folder.ts";

t.test("files that send no events are looked at every pollMs", async (t) => {
  using folder = new Folder({ flag: "" });
  const clock = new FakeClock();
  let size = 1;
  // Its folder is watched by events too; here the debounce of an hour takes them out of the play.
  const read = () => ({ database: { url: DATABASE_URL, maxConnections: size } });
  const sources = [source("mounted", { read, files: [folder.at("flag")] })];
  const manager = new ConfigManager({ schema, sources, watch: { pollMs: 1_000, debounceMs: 3_600_000 } }, { clock });
  await manager.start();
  size = 2;
  folder.write("flag", "another");
  await clock.advance(999);
  t.equal(manager.client.database.maxConnections, 1);
  await clock.advance(1);
  await until(() => manager.client.database.maxConnections === 2);
  await manager.stop();
  t.equal(clock.pending, 0, "no timer is left");
});
