import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PAGES, SITE } from "./places.ts";
import { channelsPage } from "./reference/channels-page.ts";
import { errorsPage } from "./reference/errors-page.ts";
import { metricsPage } from "./reference/metrics-page.ts";
import { namesPage } from "./reference/names-page.ts";
import { optionsPage } from "./reference/options-page.ts";
import { packagePages } from "./reference/package-pages.ts";

/** Fills `.site`: the pages that are written, and those that are made of the packages. */
export function generate(): void {
  rmSync(SITE, { recursive: true, force: true });
  cpSync(PAGES, SITE, { recursive: true });
  for (const [file, text] of Object.entries(generated())) {
    mkdirSync(dirname(join(SITE, file)), { recursive: true });
    writeFileSync(join(SITE, file), text);
  }
}

/** The pages that are made, by their file. */
export function generated(): Record<string, string> {
  return {
    "reference/errors.md": errorsPage(),
    "reference/metrics.md": metricsPage(),
    "reference/channels.md": channelsPage(),
    "reference/options.md": optionsPage(),
    "reference/names.md": namesPage(),
    ...packagePages(),
  };
}
