import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";

export type { Page } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

// Nothing over the network that the tests have not asked for. As root there is no sandbox.
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"];

/** Where the Chromium on PATH is, or `undefined`. */
function findChromium(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const program = findChromium();

/** Why tests in a browser are skipped here, or `false`. With `CI=true` they are not: there they fail. */
export const noBrowser: string | false =
  program !== undefined || process.env["CI"] === "true"
    ? false
    : `skipped: no browser here (none of ${NAMES.join(", ")} on PATH)`;

/** The distribution's Chromium without a window. Each page is a visitor of its own, without cookies of the others. */
export class TestBrowser implements AsyncDisposable {
  /** What pages said on their consoles, and errors that nothing caught; there is to be none. */
  readonly complaints: string[] = [];
  readonly #browser: Browser;

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  /** @throws where there is none. */
  static async start(): Promise<TestBrowser> {
    if (program === undefined) throw new Error(`no browser: none of ${NAMES.join(", ")} on PATH`);
    return new TestBrowser(await chromium.launch({ executablePath: program, args: FLAGS }));
  }

  /** Opens an address as a new visitor. */
  async open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const page = await this.#browser.newPage(options);
    page.on("console", (message) => this.complaints.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    await page.goto(url);
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}
