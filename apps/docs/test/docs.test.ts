import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { generated } from "../src/generate.ts";
import { followLinks, pageOfHtml, pageOfMarkdown, type Page } from "../src/links.ts";
import { OUTLINE } from "../src/outline.ts";
import { markdownBelow, PAGES } from "../src/places.ts";
import { advised, codes } from "../src/reference/errors-page.ts";
import { links } from "../src/reference/package-pages.ts";

const written = markdownBelow(PAGES);
const texts = new Map([
  ...written.map((file) => [file, readFileSync(join(PAGES, file), "utf8")] as const),
  ...Object.entries(generated()),
]);
const path = (file: string): string => file.replace(/\.md$/, "");

t.test("every link of the documentation leads somewhere", async (t) => {
  const pages = new Map([...texts].map(([file, text]) => [path(file), pageOfMarkdown(text)]));
  const { checked, broken } = followLinks(pages);
  t.same(broken, []);
  t.ok(checked > 100, `${checked} links of ${pages.size} pages`);
  t.comment(`${checked} links of ${pages.size} pages`);
});

t.test("every page that is written is in the outline, once, and has a title", async (t) => {
  const outline = OUTLINE.flatMap(({ pages }) => pages);
  t.same(
    [...outline].sort(),
    written
      .map(path)
      .filter((page) => page !== "index")
      .sort(),
  );
  for (const file of written.filter((f) => f !== "index.md")) t.match(texts.get(file), /^# \S/m, file);
});

t.test("every error code is an anchor, and advice is of codes that exist", async (t) => {
  const { anchors } = pageOfMarkdown(texts.get("reference/errors.md") ?? "");
  const all = codes().map(({ code }) => code);
  t.ok(all.length > 150, `${all.length} codes`);
  t.same(
    all.filter((code) => !anchors.has(code)),
    [],
  );
  t.same(
    [...advised()].filter((code) => !all.includes(code)),
    [],
  );
});

t.test("the reference has the channels, options and metrics of the packages", async (t) => {
  t.match(texts.get("reference/channels.md"), /`steward:resource:health`[^\n]*\n[\s\S]*### HealthEvent/);
  t.match(texts.get("reference/options.md"), /### RedisPoolOptions[\s\S]*\| `offlineTimeoutMs` \| `number` \|/);
  t.match(texts.get("reference/metrics.md"), /`dependency_health`/);
  t.match(texts.get("reference/names.md"), /`Depends\(dep\)`/);
});

t.test("a broken link is found", async (t) => {
  const page = (links: string[], anchors: string[] = []): Page => ({ links, anchors: new Set(anchors) });
  const found = followLinks(
    new Map([
      ["index", page(["/a/b", "./a/b#there", "#own", "https://example.org/x"], ["own"])],
      ["a/b", page(["../c", "b#nowhere", "./", "/index#own"], ["there"])],
    ]),
  );
  t.equal(found.checked, 7);
  t.same(found.broken, [
    "a/b: ../c: there is no page c",
    "a/b: b#nowhere: a/b has no nowhere",
    "a/b: ./: there is no page a/index",
  ]);
});

t.test("anchors and links are read from Markdown and from HTML", async (t) => {
  const text = "# What `x` is\n\n## Twice\n\n## Twice\n\n## OWN {#Own}\n[a](b.md#c) `[no](x)`\n```md\n# [no](y)\n```\n";
  t.same(pageOfMarkdown(text), { anchors: new Set(["what-x-is", "twice", "twice-1", "Own"]), links: ["b.md#c"] });
  t.same(pageOfHtml('<h1 id="a"></h1><a class="x" href="/b?x=1&amp;y=2">'), {
    anchors: new Set(["a"]),
    links: ["/b?x=1&y=2"],
  });
});

t.test("links between READMEs become links between pages, and text where there is no page", async (t) => {
  const linked = links(
    "[a](../redis) [b](./REFERENCE.md#events) [c](../../LICENSE) [d](#e)",
    "packages/container/README.md",
  );
  t.equal(linked, "[a](/packages/redis) [b](/packages/container-reference#events) c [d](#e)");
});
