import { EventEmitter, once } from "node:events";
import { container, runMain, serveManagement } from "@steward/container";
import { resource } from "@steward/core";
import { noBrowser as skip, TestBrowser } from "@steward/harness/browser";
import axe, { type AxeResults } from "axe-core";
import t from "tap";
import { dashboard } from "../../src/index.ts";
import { box, seen } from "./look.ts";

const HOSTILE = `<img src=x onerror="globalThis.hacked=1">`;

let isDown = false;
const store = resource("store", {
  start: () => ({}),
  health: { intervalMs: 50, unhealthyAfter: 1, healthyAfter: 1 },
  probe: () => (isDown ? Promise.reject(new Error(`no answer from ${HOSTILE}`)) : Promise.resolve()),
});
const hostile = resource(HOSTILE, { needs: { store }, start: () => ({}) });
const top = resource("top", { needs: { hostile }, start: () => ({}) });

t.test(
  "a browser sees what fails and what suffers from it turn and recover, and runs nothing of a name",
  { skip },
  async (t) => {
    const board = dashboard();
    await using running = await container([top], { name: `clips ${HOSTILE}` }).start();
    await using management = await serveManagement(running, { routes: { "/steward/": board } });
    await using browser = await TestBrowser.start();
    t.teardown(() => board.close());
    const page = await browser.open(board.link(`${management.url}/steward/`));
    const run = (expression: string): Promise<unknown> => page.evaluate(expression);
    await run(seen(`document.querySelectorAll(".box.healthy").length === 3`));
    t.equal(await run("location.search"), "", "the token has gone from the address");
    t.equal(await run("document.cookie"), "", "and scripts cannot read the cookie");

    isDown = true;
    const turned = `${box("store")}?.matches(".unhealthy.cause") && ${box("top")}.matches(".degraded.victim")`;
    const turnedMs = Number(await run(seen(turned)));
    t.ok(turnedMs < 2_100, `the box has turned after ${Math.round(turnedMs)} ms`);
    t.match(
      await run(`${box("store")}.querySelector("title").textContent`),
      /^store, unhealthy, root cause, .*no answer from <img/,
    );
    t.match(await run(`${box("top")}.querySelector("title").textContent`), /because of store/);
    isDown = false;
    await run(seen(`document.querySelectorAll(".box.healthy").length === 3`));

    const screens: readonly (readonly [string, string])[] = [
      ["table", HOSTILE],
      ["timeline", "unhealthy"],
      ["start", "What all waited for"],
      ["live", "Requests being answered: 0"],
      ["process", "Event loop delay"],
      ["replicas", "knows of no other replicas"],
      [`resource/${encodeURIComponent(HOSTILE)}`, "Is needed by"],
      ["resource/none", "There is no resource of this name"],
      ["graph", ""],
    ];
    for (const [path, text] of screens) {
      await run(`location.hash = ${JSON.stringify(`#/${path}`)}`);
      await run(seen(`document.getElementById("main").textContent.includes(${JSON.stringify(text)})`));
      t.pass(`${path} shows ${text}`);
      t.notMatch(await run(`document.getElementById("main").textContent`), /undefined|NaN/, path);
    }
    t.equal(await run(`document.querySelectorAll("img").length`), 0);
    t.equal(await run(`typeof globalThis.hacked`), "undefined");

    await run(seen(`${box("top")} !== undefined`));
    await run(`${box("top")}.focus()`);
    const press = (key: string): string =>
      `document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "${key}", bubbles: true }))`;
    await run(press("ArrowRight"));
    t.equal(await run("document.activeElement.dataset.name"), HOSTILE, "arrows go along needs");
    await run(press("ArrowRight"));
    await run(press("Enter"));
    t.equal(await run("location.hash"), "#/resource/store");
    t.same(browser.complaints, [], "the console is silent: no error, no violation of the policy");

    await management.stop();
    await run(seen(`document.getElementById("notice").textContent.startsWith("The process has ended.")`));
  },
);

t.test(
  "a start that fails is seen as it goes, and what failed and was rolled back stays on the page after the end",
  { skip },
  async (t) => {
    const events = new EventEmitter();
    const cache = resource("cache", { start: () => new Map() });
    const db = resource("db", {
      start: async () => {
        await once(events, "lunch");
        throw new Error("the database is out for lunch");
      },
    });
    const web = resource("web", { needs: { cache, db }, start: () => ({}) });
    const board = dashboard();
    t.teardown(() => board.close());
    const listening = once(events, "listening");
    const routes = { "/steward/": board };
    const ended = runMain(container([web], { name: "shop" }), {
      management: { routes, onListening: (url) => events.emit("listening", url) },
      process: new Onlooker(),
    });
    await using browser = await TestBrowser.start();
    const page = await browser.open(board.link(`${String((await listening)[0])}/steward/`));
    const run = (expression: string): Promise<unknown> => page.evaluate(expression);
    await run(`location.hash = "#/start"`);
    await run(seen(`document.querySelector(".waterfall .starting")?.getAttribute("aria-label").startsWith("db: ")`));
    events.emit("lunch");
    t.equal(await ended, 1);
    await run(seen(`document.getElementById("notice").textContent.startsWith("The process has ended.")`));
    t.match(
      await run(`document.getElementById("main").textContent`),
      /The start has failed: db \(.*out for lunch\)/,
      "the reason has reached the page, although the process ended at once",
    );
    t.match(await run(`document.querySelector(".waterfall .rolled-back").getAttribute("aria-label")`), /^cache: /);
    t.match(await run(`document.getElementById("status").className`), /unhealthy/);
    await run(`location.hash = "#/graph"`);
    await run(seen(`${box("db")} !== undefined`));
    t.match(
      await run(`${box("db")}.querySelector("title").textContent`),
      /^db, unhealthy, failed, root cause, .*out for lunch/,
    );
    t.equal(
      await page.getByRole("button", { name: /^db, unhealthy, failed/ }).count(),
      1,
      "and so says a screen reader",
    );
    t.equal(await run(`${box("cache")}.querySelector("title").textContent`), "cache, not started");
    await page.evaluate(axe.source);
    for (const theme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: theme });
      for (const screen of ["graph", "table", "timeline", "start", "live", "process", "replicas", "resource/db"]) {
        await run(`location.hash = "#/${screen}"`);
        await run(seen(`location.hash === "#/${screen}" && document.getElementById("main").textContent !== ""`));
        const found = (await run("axe.run()")) as AxeResults; // what axe gives
        t.same(
          found.violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(worded),
          [],
          `${screen} can be read by all, ${theme}`,
        );
      }
    }
  },
);

function worded({ id, nodes }: AxeResults["violations"][number]): string {
  return `${id}: ${nodes.map(({ html }) => html).join(" ")}`;
}

/** A process that is looked at and does not end. */
class Onlooker {
  readonly env = {};
  readonly stderr = { write: () => true };
  readonly on = (): void => {};
  readonly off = (): void => {};
  readonly exit = (): void => {};
}
