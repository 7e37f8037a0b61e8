import { container, serveManagement } from "@steward/container";
import { resource } from "@steward/core";
import t from "tap";
import { dashboard } from "../../src/index.ts";
import { Chromium, skip } from "../chromium.ts";

const HOSTILE = `<img src=x onerror="globalThis.hacked=1">`;

let isDown = false;
const store = resource("store", {
  start: () => ({}),
  health: { intervalMs: 50, timeoutMs: 40, unhealthyAfter: 1, healthyAfter: 1 },
  probe: () => (isDown ? Promise.reject(new Error(`no answer from ${HOSTILE}`)) : Promise.resolve()),
});
const hostile = resource(HOSTILE, { needs: { store }, start: () => ({}) });
const top = resource("top", { needs: { hostile }, start: () => ({}) });

/** Resolves in the page once something is so, looking at each frame. */
function once(condition: string): string {
  return `new Promise((resolve) => {
    const look = () => ((${condition}) ? resolve(performance.now()) : requestAnimationFrame(look));
    look();
  })`;
}

/** The box of a resource; names are data here too. */
function box(name: string): string {
  return `[...document.querySelectorAll(".box")].find((box) => box.dataset.name === ${JSON.stringify(name)})`;
}

t.test(
  "a browser sees what fails and what suffers from it turn and recover, and runs nothing of a name",
  { skip },
  async (t) => {
    const board = dashboard();
    await using running = await container([top], { name: `clips ${HOSTILE}` }).start();
    await using management = await serveManagement(running, { routes: { "/steward/": board } });
    await using browser = await Chromium.start();
    t.teardown(() => board.close());
    const run = await browser.open(board.link(`${management.url}/steward/`));
    await run(once(`document.querySelectorAll(".box.healthy").length === 3`));
    t.equal(await run("location.search"), "", "the token has gone from the address");
    t.equal(await run("document.cookie"), "", "and scripts cannot read the cookie");

    isDown = true;
    const since = performance.now();
    await run(once(`${box("store")}?.matches(".unhealthy.cause") && ${box("top")}.matches(".degraded.victim")`));
    const turnedMs = performance.now() - since;
    t.ok(turnedMs < 2_100, `the box has turned after ${Math.round(turnedMs)} ms`);
    t.match(
      await run(`${box("store")}.getAttribute("aria-label")`),
      /^store, unhealthy, root cause, .*no answer from <img/,
    );
    t.match(await run(`${box("top")}.getAttribute("aria-label")`), /because of store/);
    isDown = false;
    await run(once(`document.querySelectorAll(".box.healthy").length === 3`));

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
      await run(once(`document.getElementById("main").textContent.includes(${JSON.stringify(text)})`));
      t.pass(`${path} shows ${text}`);
    }
    t.equal(await run(`document.querySelectorAll("img").length`), 0);
    t.equal(await run(`typeof globalThis.hacked`), "undefined");

    await run(once(`${box("top")} !== undefined`));
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
    await run(once(`!document.getElementById("notice").hidden`));
    t.match(await run(`document.getElementById("notice").textContent`), /connection is lost/);
  },
);
