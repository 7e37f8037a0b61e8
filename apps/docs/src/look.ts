import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { TestBrowser, type Page } from "@steward/harness/browser";
import { serve } from "vitepress";
import { HOME } from "./places.ts";

const PORT = 4174;
const SHOTS = join(HOME, ".built/shots");

/** A look at the built site in Chromium: search, dark, a narrow screen. Pictures of pages are left in `.built/shots`. */
export async function look(): Promise<number> {
  mkdirSync(SHOTS, { recursive: true });
  await serve({ root: HOME, port: PORT });
  const problems: string[] = [];
  {
    await using browser = await TestBrowser.start();
    for (const check of [searches, isDark, isNarrow]) problems.push(...(await check(browser)));
    problems.push(...browser.complaints);
  }
  for (const problem of problems) console.error(`look: ${problem}`);
  console.log(`look: search, dark and 390 px, ${problems.length} problems`);
  // VitePress' server has no end of its own.
  process.exit(problems.length === 0 ? 0 : 1);
}

const at = (path: string): string => `http://localhost:${PORT}/${path}`;

async function searches(browser: TestBrowser): Promise<string[]> {
  const page = await browser.open(at(""), { viewport: { width: 1280, height: 900 } });
  await shot(page, "home-light");
  await page.keyboard.press("Control+k");
  await page.locator(".VPLocalSearchBox input").fill("overloaded");
  const first = page.locator(".VPLocalSearchBox .result").first();
  await first.waitFor({ timeout: 60_000 });
  await shot(page, "search");
  const text = await first.innerText();
  return /overloaded/i.test(text) ? [] : [`the search for "overloaded" found "${text}" first`];
}

async function isDark(browser: TestBrowser): Promise<string[]> {
  const page = await browser.open(at("start"), { colorScheme: "dark", viewport: { width: 1280, height: 900 } });
  await shot(page, "start-dark");
  const background = await page.evaluate("getComputedStyle(document.body).backgroundColor");
  const [red = 255] = String(background).match(/\d+/g)?.map(Number) ?? [];
  return red < 80 ? [] : [`dark is not dark: ${String(background)}`];
}

/** Nothing but code and tables may be wider than the screen, and those scroll by themselves. */
async function isNarrow(browser: TestBrowser): Promise<string[]> {
  const problems: string[] = [];
  for (const path of [
    "",
    "start",
    "reference/errors",
    "reference/options",
    "packages/core",
    "requests/security",
    "compare/names-in-full",
  ]) {
    const page = await browser.open(at(path), { viewport: { width: 390, height: 844 } });
    await shot(page, `narrow-${path.replaceAll("/", "-") || "home"}`);
    const width = Number(await page.evaluate("document.documentElement.scrollWidth"));
    if (width > 390) problems.push(`/${path} is ${width} px wide on a screen of 390`);
  }
  return problems;
}

async function shot(page: Page, name: string): Promise<void> {
  await page.waitForLoadState("networkidle");
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}
