import { noBrowser as skip, TestBrowser, type Page } from "@steward/harness/browser";
import { postgresForTests } from "@steward/launchers";
import axe, { type AxeResults } from "axe-core";
import t from "tap";
import { joined, silence, voice, wav } from "../sound.ts";
import { LocalClips } from "./clips.ts";
import { freePort } from "./watching.ts";

/** Resolves in the page once something is so, looking at each frame. */
function seen(condition: string): string {
  return `new Promise((resolve) => {
    const look = () => ((${condition}) ? resolve(true) : requestAnimationFrame(look));
    look();
  })`;
}

/** What keeps somebody from reading the page as it is now, light and dark. */
async function unreadable(page: Page): Promise<readonly string[]> {
  const found: string[] = [];
  await page.evaluate(axe.source);
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme });
    const { violations } = (await page.evaluate("axe.run()")) as AxeResults; // what axe gives
    for (const { id, impact, nodes } of violations)
      if (impact === "serious" || impact === "critical")
        found.push(`${theme}, ${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  }
  return found;
}

t.test(
  "a visitor signs up, uploads, watches the processing live, signs out and in, and deletes, by the keyboard alone",
  { skip },
  async (t) => {
    await using database = await postgresForTests();
    const port = await freePort();
    await using app = await LocalClips.start({
      DATABASE_URL: database.url,
      RENDERER_STEP_MS: "30",
      MANAGEMENT_PORT: String(port),
    });
    await using browser = await TestBrowser.start();
    const page = await browser.open(`${app.url}/`, { viewport: { width: 390, height: 800 } });
    const press = (...keys: readonly string[]) =>
      keys.reduce((last, key) => last.then(() => page.keyboard.press(key)), Promise.resolve());
    await page.getByRole("radio", { name: "Sign up" }).waitFor();
    t.same(await unreadable(page), [], "who is not signed in can read it");
    t.equal(
      await page.getByRole("link", { name: "Dashboard" }).getAttribute("href"),
      `http://localhost:${port}/steward/`,
    );

    await page.getByLabel("Name").focus();
    await page.keyboard.type("ann");
    await press("Tab");
    await page.keyboard.type("correct horse battery");
    await press("Enter");
    await page.getByRole("heading", { name: "Your next clip" }).waitFor();
    t.equal(await page.evaluate("document.activeElement.id"), "adding-title", "the focus goes where it goes on");
    t.equal(await page.evaluate("document.cookie"), "", "no script can read the session");

    const hostile = `<img src=x onerror="globalThis.hacked=1">.wav`;
    await page.setInputFiles("#file", {
      name: hostile,
      mimeType: "audio/wav",
      buffer: wav(joined(silence(1), voice(2))),
    });
    await page.getByLabel("Title").first().focus();
    await press("Enter");
    const clip = page.getByRole("listitem").filter({ hasText: "onerror" });
    await clip.waitFor();
    t.equal(await page.evaluate("typeof globalThis.hacked"), "undefined", "a title is text");
    t.match(
      await page.evaluate("document.activeElement.getAttribute('aria-label')"),
      /^Process: <img/,
      "the next key processes it",
    );
    // Each change, also those that come between two frames.
    await page.evaluate(`globalThis.steps = new Set();
      new MutationObserver(() => document.querySelectorAll("li progress").forEach((bar) => steps.add(bar.value)))
        .observe(document.body, { subtree: true, childList: true, attributes: true })`);
    await press("Enter");
    await page.evaluate(seen(`[...steps].some((value) => value > 0 && value < 100)`));
    t.pass("steps are seen as they are done");
    await clip.getByText("done", { exact: true }).waitFor();
    t.match(await page.getByRole("status").textContent(), /: done$/, "and said to those who hear the page");
    t.match(
      await clip.getByRole("img").getAttribute("aria-label"),
      /^Speech: 2\.\d s of 3\.0 s\. /,
      "and the voice is found",
    );
    t.same(await unreadable(page), [], "who is signed in can read it");
    t.equal(await page.evaluate("document.documentElement.scrollWidth"), 390, "nothing is wider than a telephone");
    await page.getByText("Where you are signed in").focus();
    await press("Enter");
    await page.getByText(/^This browser/).waitFor();
    await page.getByRole("button", { name: "Sign out", exact: true }).focus();
    await press("Enter");
    await page.getByRole("radio", { name: "Sign up" }).waitFor();
    t.notOk(await page.getByRole("heading", { name: "Your next clip" }).isVisible());
    await clip.getByText("done", { exact: true }).waitFor();
    await page.reload();
    await clip.getByText("done", { exact: true }).waitFor();
    const remove = clip.getByRole("button", { name: /^Delete: <img/ });
    t.notOk(await remove.isVisible(), "who is not signed in may delete nothing");

    await page.getByRole("radio", { name: "Sign up" }).focus();
    await press("ArrowRight", "Tab");
    await page.keyboard.type("ann");
    await press("Tab");
    await page.keyboard.type("correct horse battery");
    await press("Enter");
    await remove.waitFor();
    await remove.focus();
    const isSure = async (answer: "accept" | "dismiss") => (await page.waitForEvent("dialog"))[answer]();
    await Promise.all([isSure("dismiss"), press("Enter")]);
    t.ok(await clip.isVisible(), "a clip is deleted by who means it");
    await Promise.all([isSure("accept"), press("Enter")]);
    await clip.waitFor({ state: "detached" });
    t.match(await page.getByRole("status").textContent(), /^<img.* was deleted$/);
    t.equal(await page.evaluate("document.activeElement.id"), "list-title");
    t.same(browser.complaints, [], "the console is silent: no error, no violation of the policy");
  },
);
