// Makes the pictures in screens/: each screen of the dashboard, light, dark and on a phone. Run it after a build: npm run screenshots.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import os from "node:os";
import { join } from "node:path";
import { container, serveManagement } from "@steward/container";
import { guarded, resource } from "@steward/core";
import { noBrowser, TestBrowser } from "@steward/harness/browser";
import { RunLogManager } from "@steward/training";
import { dashboard } from "./dist/index.js";

const SCREENS = ["graph", "timeline", "resource/db", "start", "live", "runs", "replicas", "process"];
const LOOKS = [
  { name: "light", colorScheme: "light", viewport: { width: 640, height: 400 } },
  { name: "dark", colorScheme: "dark", viewport: { width: 640, height: 400 } },
  { name: "phone", colorScheme: "light", viewport: { width: 390, height: 430 } },
];
/** How long calls go on before the pictures, so that there is something to see. */
const CALLS_MS = 12_000;

// The pictures are the same wherever they are made.
os.hostname = () => "shop-1";
syncBuiltinESMExports();

if (noBrowser !== false) {
  console.error(noBrowser);
  process.exit(1);
}

const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A resource that takes so long to start, and each of whose calls takes about so long. */
function store(name, needs, startMs, callMs, probe = () => {}) {
  const start = async () => {
    await after(startMs);
    const call = () => after(callMs * (0.5 + Math.random())).then(probe);
    return { call };
  };
  const health = { intervalMs: 500, timeoutMs: 400, unhealthyAfter: 1, healthyAfter: 1 };
  return resource(name, { needs, start, probe, health, guard: { maxConcurrent: 20, timeoutMs: 2_000 } });
}

let isMailDown = false;
const config = resource("config", { start: () => ({}) });
const db = store("db", { config }, 180, 6);
const redis = store("redis", { config }, 40, 1);
const mail = store("mail", { config }, 90, 30, () => {
  if (isMailDown) throw new Error("421 try again later");
});
const cache = resource("cache", { needs: { redis }, start: () => ({}) });
const users = resource("users", { needs: { db, cache }, start: () => after(20).then(() => ({})) });
const orders = resource("orders", { needs: { db, redis, mail }, start: () => after(60).then(() => ({})) });
const web = resource("web", { needs: { users, orders }, start: () => ({}) });

/** Three trainings: one that is over and was resumed, one that diverged, and one at work. */
async function trained(log) {
  const begun = async (id, learningRate) => {
    const run = await log.start({ id, model: "scorer", seed: 7, config: { epochs: 20, learningRate } });
    return { run, falling: (step) => 0.69 * Math.exp(-step * learningRate) + 0.02 * Math.random() + 0.05 };
  };
  const note = async ({ run, falling }, from, to) => {
    for (let step = from; step <= to; step++) {
      await run.step(step, { loss: falling(step), norm: falling(step) * (1 + Math.random()), skipped: 0 });
      if (step % 50 === 0) await run.checkpoint(step);
    }
  };
  const first = await begun("scorer-1", 0.02);
  await note(first, 1, 170);
  await first.run.leave();
  const again = { ...first, run: await log.resume("scorer-1", 150) };
  await note(again, 151, 320);
  await again.run.finish({ loss: 0.0613, accuracy: 0.957 });
  const second = await begun("scorer-2", 0.3);
  await note({ ...second, falling: (step) => 0.6 + 0.0001 * step ** 2 }, 1, 90);
  await second.run.step(91, { loss: NaN, norm: Infinity, skipped: 0 });
  await second.run.fail(new Error("the mean gradient is not finite"));
  const third = await begun("scorer-3", 0.008);
  await note(third, 1, 240);
}

const runsFolder = await mkdtemp(join(os.tmpdir(), "steward-runs-"));
const log = await new RunLogManager({ folder: runsFolder }).start();
await trained(log.client);
const board = dashboard({ runs: log.client });
const running = await container([web], { name: "shop", version: "1.4.0" }).start();
const management = await serveManagement(running, { routes: { "/steward/": board } });
const browser = await TestBrowser.start();
const folder = join(import.meta.dirname, "screens");
await rm(folder, { recursive: true, force: true });
await mkdir(folder);

const used = [db, redis, mail].map((one) => running.get(one));
const calls = setInterval(() => {
  for (const one of used) guarded(one, () => one.call()).catch(() => {});
}, 20);
const pages = await Promise.all(
  LOOKS.map(({ colorScheme, viewport }) =>
    browser.open(board.link(`${management.url}/steward/`), { colorScheme, viewport, reducedMotion: "reduce" }),
  ),
);
await after(CALLS_MS / 2);
isMailDown = true;
await after(CALLS_MS / 2);
for (const [i, { name }] of LOOKS.entries())
  for (const screen of SCREENS) {
    const page = pages[i];
    await page.evaluate(`location.hash = "#/${screen}"`);
    await after(1_200); // numbers come once a second
    await page.screenshot({
      path: join(folder, `${screen.replace(/\/.*/, "")}-${name}.png`),
      fullPage: screen === "runs", // the curves are below the table
    });
  }
clearInterval(calls);
board.close();
await browser[Symbol.asyncDispose]();
await management.stop();
await log.stop();
await rm(runsFolder, { recursive: true });
await running.stop();
