import { existsSync } from "node:fs";
import t from "tap";
import { testRedis } from "../src/testing.ts";
import { needsRedis } from "./setup.ts";

t.test("a Redis for tests is real, empty, and gone without a trace", needsRedis, async (t) => {
  const first = testRedis({ keyPrefix: "t:" });
  const second = testRedis();
  await Promise.all([first.start(), second.start()]);
  t.equal(await first.client.incr("n"), 1);
  t.equal(await second.client.incr("n"), 1);
  const [folder = ""] =
    /\/\S+steward-redis-\w+/.exec(String((await first.client.config("GET", "dir")) as unknown)) ?? [];
  t.ok(existsSync(folder));
  await Promise.all([first.stop(), second.stop()]);
  t.notOk(existsSync(folder));
  await first.start();
  t.equal(await first.client.incr("n"), 1, "empty again");
  await first.stop();
});

t.test("without a Redis program the start says so", async (t) => {
  const { PATH } = process.env;
  t.teardown(() => void (process.env["PATH"] = PATH));
  process.env["PATH"] = "/nowhere";
  await t.rejects(testRedis().start(), { code: "REDIS_CONNECT_FAILED", message: /redis-server nor valkey-server/ });
});
