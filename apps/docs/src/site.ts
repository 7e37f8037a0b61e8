import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DefaultTheme, UserConfig } from "vitepress";
import { NAVIGATION, OUTLINE } from "./outline.ts";
import { BUILT, SITE, markdownBelow } from "./places.ts";

/** The first heading of a page. */
export function titleOf(text: string): string {
  return (/^# (.+)$/m.exec(text)?.[1] ?? "?").replaceAll(/\s*\{#[^}]*\}|`/g, "");
}

function item(page: string): DefaultTheme.SidebarItem {
  const file = join(SITE, `${page}.md`);
  const title = existsSync(file) ? titleOf(readFileSync(file, "utf8")) : page;
  return { text: title, link: `/${page}` };
}

function made(folder: string): DefaultTheme.SidebarItem[] {
  if (!existsSync(join(SITE, folder))) return [];
  return markdownBelow(join(SITE, folder)).map((file) => item(`${folder}/${file.replace(/\.md$/, "")}`));
}

function sidebar(): DefaultTheme.SidebarItem[] {
  const written = OUTLINE.map(({ title, pages }) => ({ text: title, collapsed: false, items: pages.map(item) }));
  return [
    ...written,
    { text: "Reference", collapsed: false, items: made("reference") },
    { text: "Packages", collapsed: true, items: made("packages") },
  ];
}

/** What VitePress is given. */
export function site(): UserConfig<DefaultTheme.Config> {
  return {
    title: "Steward",
    description: "Shared resources of a Node service, looked after.",
    lang: "en",
    srcDir: SITE,
    outDir: BUILT,
    cleanUrls: true,
    metaChunk: true,
    head: [
      ["meta", { name: "color-scheme", content: "light dark" }],
      ["link", { rel: "icon", type: "image/svg+xml", href: "/icon.svg" }],
    ],
    // READMEs are plain Markdown: `<name>` in one is text.
    markdown: { html: false, theme: { light: "github-light", dark: "github-dark" } },
    themeConfig: {
      nav: NAVIGATION.map(([text, page]) => ({ text, link: `/${page}` })),
      sidebar: sidebar(),
      outline: { level: [2, 3] },
      search: { provider: "local" },
      externalLinkIcon: true,
      docFooter: { prev: "Before", next: "Next" },
    },
  };
}
