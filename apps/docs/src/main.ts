// Makes the site, checks its links, and serves it: `npm run docs`. With --build it ends after the check, with --look after
// a look at the pages in a browser.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build, serve } from "vitepress";
import { generate } from "./generate.ts";
import { followLinks, pageOfHtml, pageOfMarkdown, type Pages } from "./links.ts";
import { look } from "./look.ts";
import { BUILT, filesBelow, HOME, SITE } from "./places.ts";

const begun = performance.now();
generate();
await build(HOME);
const pages: Pages = new Map(
  filesBelow(BUILT, ".html")
    .filter((file) => file !== "404.html")
    .map((file) => [file.replace(/\.html$/, ""), pageOfHtml(readFileSync(join(BUILT, file), "utf8"))]),
);
const { checked, broken } = followLinks(pages);
const problems = [...broken, ...missingAnchors(pages)];
for (const problem of problems) console.error(`broken: ${problem}`);
const seconds = ((performance.now() - begun) / 1000).toFixed(1);
console.log(`docs: ${pages.size} pages in ${seconds} s, ${checked} links, ${problems.length} broken`);

if (problems.length > 0) process.exitCode = 1;
else if (process.argv.includes("--look")) process.exitCode = await look();
else if (!process.argv.includes("--build")) await serve({ root: HOME, port: Number(process.env["PORT"] ?? 4173) });

/** Tests of links read Markdown. So the anchors that they see have to be those of the site. */
function missingAnchors(built: Pages): string[] {
  return filesBelow(SITE, ".md").flatMap((file) => {
    const page = built.get(file.replace(/\.md$/, ""));
    const { anchors } = pageOfMarkdown(readFileSync(join(SITE, file), "utf8"));
    return [...anchors].flatMap((a) => (page?.anchors.has(a) === true ? [] : [`${file}: it has no anchor ${a}`]));
  });
}
