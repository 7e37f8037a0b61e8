import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { container, serveManagement } from "@steward/container";
import { resource } from "@steward/core";
import { noBrowser, TestBrowser, type Page } from "@steward/harness/browser";
import { findRedis, startRedis } from "@steward/launchers";
import { redisPool } from "@steward/redis";
import { Load, Watch } from "@steward/testing";
import t, { type Test } from "tap";
import { dashboard } from "../../src/index.ts";
import { box, seen } from "./look.ts";

const noRedis = findRedis() === undefined && process.env["CI"] !== "true" ? "no redis-server on PATH" : false;

/** What an operator is promised: noticed within 2 s, and painted 100 ms later. Without what the machine took of this process or of the page. */
const SEEN_MS = 2_100;
/** A server that is back has to answer for a while first. */
const WELL_MS = 3_100;

/** What a box is called to who cannot see it: name, health, root cause or victim, and why. */
function title(page: Page, name: string): Promise<unknown> {
  return page.evaluate(`${box(name)}.querySelector("title").textContent`);
}

t.test("faults of real servers and processes on the page", { skip: noBrowser || noRedis }, async (t) => {
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
      const ofPage = await page.evaluate(seen(`${turned} && ${box("users")}.matches(".degraded.victim")`));
      const turnedMs = Math.round(Math.min(Number(ofPage), load.watch.elapsed(killedAt)));
      t.comment(`painted ${turnedMs} ms after the kill`);
      t.ok(turnedMs < SEEN_MS, `painted after ${turnedMs} ms`);
      // What is seen first depends on the machine: that nobody listens, or that no answer came to a question that waited for it.
      t.match(await title(page, "redis"), /^redis \(redis\), unhealthy, root cause, .*(ECONNREFUSED|no answer)/);
      for (const victim of ["sessions", "users"]) t.match(await title(page, victim), /, because of redis/);
      t.ok(await page.evaluate(`${box("clock")}.matches(".healthy:not(.victim)")`), "what does not need it is well");

      await server.restart();
      const backAt = performance.now();
      const ofPageToo = await page.evaluate(seen(`document.querySelectorAll(".box.healthy").length === 4`));
      const wellMs = Math.round(Math.min(Number(ofPageToo), load.watch.elapsed(backAt)));
      t.comment(`well again ${wellMs} ms after it was back`);
      t.ok(wellMs < WELL_MS, `well after ${wellMs} ms`);
      t.equal(await page.evaluate(`document.querySelectorAll(".box.cause, .box.victim").length`), 0);
      t.equal(await load.end(), 0);
      await page.close();
    },
  );

  await t.test(
    "of three processes the one that is frozen is unknown, not as it was last, and comes back",
    async (t) => {
      const replicas = await Promise.all(["a", "b", "c"].map((name) => startReplica(t, name)));
      const urls = replicas.map(({ url }) => url);
      for (const { child } of replicas) child.send(urls);
      const [first, , frozen] = replicas;
      if (first === undefined || frozen === undefined) throw new Error("three were started");
      using watch = new Watch();
      const page = await browser.open(first.link);
      await page.evaluate(`location.hash = "#/replicas"`);
      await page.evaluate(seen(`document.querySelectorAll("tbody tr.healthy").length === 3`));
      const top = `document.querySelectorAll("table")[1].querySelector("tbody tr")`;
      await page.evaluate(seen(`${top}.textContent.startsWith("own")`));
      t.strictSame(
        await page.evaluate(
          `[...${top}.querySelectorAll("td")].map((cell) => cell.className + " " + cell.textContent).sort()`,
        ),
        ["healthy healthy", "off disabled", "off disabled"],
        "what differs comes first, and what is disabled is not healthy",
      );

      frozen.child.kill("SIGSTOP");
      const frozenAt = performance.now();
      const row = `[...document.querySelectorAll("tbody tr")].find((row) => row.querySelector("th a")?.href === "${frozen.url}")`;
      const others = `document.querySelectorAll("tbody tr.healthy").length === 2`;
      const ofPage = await page.evaluate(seen(`${row}?.matches(".unknown") && ${others}`));
      const unknownMs = Math.round(Math.min(Number(ofPage), watch.elapsed(frozenAt)));
      t.comment(`unknown ${unknownMs} ms after it was frozen`);
      t.ok(unknownMs < 7_000, `silent for 5 s, seen after ${unknownMs} ms`);
      t.ok(performance.now() - frozenAt > 3_000, "and not at a short pause");
      t.match(await page.evaluate(`${row}.textContent`), /unknown: silent for \d s/);
      const cells = `[...document.querySelectorAll("tbody tr")].find((row) => row.textContent.startsWith("store"))`;
      t.strictSame(
        await page.evaluate(`[...${cells}.querySelectorAll("td")].map((cell) => cell.textContent).sort()`),
        ["healthy", "healthy", "unknown"],
        "and so each resource",
      );

      frozen.child.kill("SIGCONT");
      const onAt = performance.now();
      const ofPageToo = await page.evaluate(seen(`document.querySelectorAll("tbody tr.healthy").length === 3`));
      const liveMs = Math.round(Math.min(Number(ofPageToo), watch.elapsed(onAt)));
      t.comment(`live again after ${liveMs} ms`);
      t.ok(liveMs < 3_000, `live again after ${liveMs} ms`);
      await page.close();
    },
  );

  t.same(browser.complaints, [], "the console is silent");
});

interface StartedReplica {
  readonly child: ChildProcess;
  readonly url: string;
  readonly link: string;
}

/** A process of its own that ends with this test, also when it is frozen. */
async function startReplica(t: Test, name: string): Promise<StartedReplica> {
  const program = fileURLToPath(new URL("replica.js", import.meta.url));
  const child = spawn(process.execPath, [program, name], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  t.teardown(async () => {
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  });
  const [started] = (await once(child, "message")) as [Omit<StartedReplica, "child">]; // what replica.ts sends
  return { child, ...started };
}
