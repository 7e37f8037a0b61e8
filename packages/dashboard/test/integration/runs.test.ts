import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { container, serveManagement } from "@steward/container";
import { resource } from "@steward/core";
import { noBrowser as skip, TestBrowser } from "@steward/harness/browser";
import { RunLogManager, type Run, type RunLog } from "@steward/training";
import axe, { type AxeResults } from "axe-core";
import t from "tap";
import { dashboard, type RunSource } from "../../src/index.ts";
import { seen } from "./look.ts";

const HOSTILE = `<img src=x onerror="globalThis.hacked=1">`;

async function noted(run: Run, from: number, to: number): Promise<void> {
  for (let step = from; step <= to; step++)
    await run.step(step, { loss: step === 7 ? Number.NaN : 1 / step, [HOSTILE]: step * 1e9, rows: 64 });
}

/** One that was resumed and is over, one that failed, and one at work. */
async function trained(log: RunLog): Promise<Run> {
  const first = await log.start({ id: "resumed", model: HOSTILE, seed: 7, config: { rate: 0.1, [HOSTILE]: HOSTILE } });
  await noted(first, 1, 10);
  await first.checkpoint(5);
  await first.leave();
  const again = await log.resume("resumed", 5);
  await noted(again, 6, 20);
  await again.finish({ accuracy: 0.957 });
  const failed = await log.start({ id: "failed", config: { rate: 0.2 } });
  await noted(failed, 1, 3);
  await failed.fail(new Error(`no ${HOSTILE}`));
  const working = await log.start({ id: "working" });
  await noted(working, 1, 4);
  return working;
}

const figure = (name: string): string =>
  `[...document.querySelectorAll("figure")].find((one) => one.querySelector("figcaption").textContent === ${JSON.stringify(name)})`;

t.test(
  "a browser sees how trainings are and go on, their curves beside one another, and runs nothing that is in them",
  { skip },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "steward-runs-"));
    await using manager = await new RunLogManager({ folder }).start();
    const working = await trained(manager.client);
    let looks = 0;
    const runs: RunSource = {
      follow: () => {
        const follower = manager.client.follow();
        return { look: () => ((looks += 1), follower.look()) };
      },
    };
    const board = dashboard({ runs });
    t.teardown(() => board.close());
    const app = resource("app", { start: () => ({}) });
    await using running = await container([app], { name: "clips" }).start();
    await using management = await serveManagement(running, { routes: { "/steward/": board } });
    await using browser = await TestBrowser.start();
    const page = await browser.open(board.link(`${management.url}/steward/`), {
      viewport: { width: 390, height: 800 },
    });
    const run = (expression: string): Promise<unknown> => page.evaluate(expression);
    const main = `document.getElementById("main").textContent`;
    await page.getByRole("link", { name: "Runs" }).waitFor();
    t.equal(looks, 0, "nothing is read while no one looks at them");

    await page.getByRole("link", { name: "Runs" }).click();
    await run(seen(`${figure("loss")}?.querySelectorAll("path.values").length > 5`));
    const row = (id: string) => page.getByRole("row").filter({ has: page.getByLabel(id) });
    t.match(await row("working").textContent(), /at work here/);
    t.match(await row("resumed").textContent(), /finished.*1 × \(after step 5\).*1, last after step 5/);
    t.match(await row("failed").textContent(), /failedno <img src=x/);
    const label = await run(`${figure("loss")}.querySelector(".curves").getAttribute("aria-label")`);
    t.match(
      label,
      /^loss, steps 1 to 20: working from 1 to 0.25; failed from 1 to 0.3333; resumed from 1 to 0.05, 1 not/,
    );
    t.equal(await run(`${figure("loss")}.querySelectorAll(".broken[d^=M]").length`), 1, "what is not finite is marked");
    t.equal(await run(`${figure("loss")}.querySelectorAll(".resume[d^=M], .checkpoint[d^=M]").length`), 2);
    t.match(await run(main), /The same in all steps: rows 64/);
    t.match(await run(main), /result: accuracy/);
    t.notMatch(await run(main), /undefined/);
    t.equal(await run(`document.querySelectorAll("img").length`), 0);
    t.equal(await run(`typeof globalThis.hacked`), "undefined");
    t.equal(await run("document.documentElement.scrollWidth"), 390, "nothing is wider than a telephone");
    await page.evaluate(axe.source);
    for (const theme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: theme });
      const { violations } = (await run("axe.run()")) as AxeResults; // what axe gives
      const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      t.same(
        bad.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`),
        [],
        theme,
      );
    }

    await page.getByRole("checkbox", { name: "failed" }).focus();
    await page.keyboard.press("Space");
    await run(seen(`!${figure("loss")}.textContent.includes("failed")`));
    t.equal(await run("document.activeElement.dataset.run"), "failed", "the keyboard stays where it is");
    await working.step(5, { loss: 0.125 });
    await run(seen(`${figure("loss")}.textContent.includes("working: 0.125")`));
    await working.finish();
    await run(seen(`!${main}.includes("at work")`));
    await run(`location.hash = "#/graph"`);
    await run(seen(`document.querySelector(".box") !== null`));
    await page.getByRole("link", { name: "Runs" }).click();
    await run(seen(`${figure("loss")} !== undefined && !${figure("loss")}.textContent.includes("failed")`));
    t.pass("what was chosen stays chosen");
    t.same(browser.complaints, [], "the console is silent: no error, no violation of the policy");
    await rm(folder, { recursive: true });
  },
);
