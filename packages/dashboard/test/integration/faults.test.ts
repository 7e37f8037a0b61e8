import { container, serveManagement } from "@steward/container";
import { resource } from "@steward/core";
import { noBrowser, TestBrowser, type Page } from "@steward/harness/browser";
import { findRedis, startRedis } from "@steward/launchers";
import { redisPool } from "@steward/redis";
import { Load } from "@steward/testing";
import t from "tap";
import { dashboard } from "../../src/index.ts";
import { box, seen } from "./look.ts";

const noRedis = findRedis() === undefined && process.env["CI"] !== "true" ? "no redis-server on PATH" : false;

/** What an operator is promised: noticed within 2 s, and painted 100 ms later. Without what the machine took. */
const SEEN_MS = 2_100;
/** A server that is back has to answer for a while first. */
const WELL_MS = 3_100;

/** What a box is called to who cannot see it: name, health, root cause or victim, and why. */
function title(page: Page, name: string): Promise<unknown> {
  return page.evaluate(`${box(name)}.querySelector("title").textContent`);
}

t.test("faults of real servers on the page", { skip: noBrowser || noRedis }, async (t) => {
  await using browser = await TestBrowser.start();

  await t.test(
    "a Redis that is killed turns its box, is named as root cause beside its victims, and recovers",
    async (t) => {
      await using server = await startRedis();
      const redis = redisPool("redis", { url: server.url });
      const sessions = resource("sessions", { needs: { redis }, start: () => ({}) });
      const users = resource("users", { needs: { sessions }, start: () => ({}) });
      const clock = resource("clock", { start: () => ({}) });
      const board = dashboard();
      t.teardown(() => board.close());
      await using running = await container([users, clock], { name: "shop" }).start();
      await using management = await serveManagement(running, { routes: { "/steward/": board } });
      const page = await browser.open(board.link(`${management.url}/steward/`));
      await page.evaluate(seen(`document.querySelectorAll(".box.healthy").length === 4`));
      const client = running.get(redis);
      const load = await Load.begin(50, () => client.get("session"));
      await load.run(300);

      await server.kill();
      const killedAt = performance.now();
      const turned = `${box("redis")}.matches(".unhealthy.cause") && ${box("sessions")}.matches(".degraded.victim")`;
      await page.evaluate(seen(`${turned} && ${box("users")}.matches(".degraded.victim")`));
      const turnedMs = Math.round(load.watch.elapsed(killedAt));
      t.comment(`painted ${turnedMs} ms after the kill`);
      t.ok(turnedMs < SEEN_MS, `painted after ${turnedMs} ms`);
      t.match(await title(page, "redis"), /^redis \(redis\), unhealthy, root cause, .*ECONNREFUSED/);
      for (const victim of ["sessions", "users"]) t.match(await title(page, victim), /, because of redis/);
      t.ok(await page.evaluate(`${box("clock")}.matches(".healthy:not(.victim)")`), "what does not need it is well");

      await server.restart();
      const backAt = performance.now();
      await page.evaluate(seen(`document.querySelectorAll(".box.healthy").length === 4`));
      const wellMs = Math.round(load.watch.elapsed(backAt));
      t.comment(`well again ${wellMs} ms after it was back`);
      t.ok(wellMs < WELL_MS, `well after ${wellMs} ms`);
      t.equal(await page.evaluate(`document.querySelectorAll(".box.cause, .box.victim").length`), 0);
      t.equal(await load.end(), 0);
      await page.close();
    },
  );

  t.same(browser.complaints, [], "the console is silent");
});
