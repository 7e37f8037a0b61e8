import { posix } from "node:path";

/** A page as far as links matter: what one can link to in it, and what it links to. */
export interface Page {
  readonly anchors: ReadonlySet<string>;
  readonly links: readonly string[];
}

/** Pages by their path without an end, such as `guides/testing`. */
export type Pages = ReadonlyMap<string, Page>;

/** What was looked at, and what leads nowhere. */
export interface Findings {
  readonly checked: number;
  readonly broken: readonly string[];
}

/** Follows all links within the site. Links to elsewhere are not followed. */
export function followLinks(pages: Pages): Findings {
  const broken: string[] = [];
  let checked = 0;
  for (const [path, { links }] of pages) {
    for (const link of links.filter((l) => !/^[a-z][\w+.-]*:|^\/\//i.test(l))) {
      checked++;
      const why = whyBroken(pages, path, link);
      if (why !== undefined) broken.push(`${path}: ${link}: ${why}`);
    }
  }
  return { checked, broken };
}

function whyBroken(pages: Pages, from: string, link: string): string | undefined {
  const [target = "", anchor] = link.split("#");
  const path = target === "" ? from : pathOf(from, target);
  const page = pages.get(path);
  if (page === undefined) return `there is no page ${path}`;
  if (anchor === undefined || anchor === "" || page.anchors.has(decodeURIComponent(anchor))) return undefined;
  return `${path} has no ${anchor}`;
}

function pathOf(from: string, target: string): string {
  const absolute = target.startsWith("/") ? target : posix.join("/", posix.dirname(from), target);
  const path = posix.normalize(absolute.endsWith("/") ? `${absolute}index` : absolute).slice(1);
  return path.replace(/\.(?:md|html)$/, "");
}

const fenced = /^( *)(`{3,}|~{3,})[\s\S]*?^\1\2/gm;

/** A page of Markdown. */
export function pageOfMarkdown(text: string): Page {
  const prose = text.replaceAll(fenced, "").replaceAll(/<!--[\s\S]*?-->/g, "");
  const anchors = new Set<string>();
  for (const [, heading = ""] of prose.matchAll(/^#{1,6} (.+)$/gm)) {
    const own = /\{#([^}]+)\}\s*$/.exec(heading)?.[1];
    anchors.add(own ?? unique(slugOf(textOf(heading)), anchors));
  }
  const links = [...prose.replaceAll(/`[^`\n]*`/g, "``").matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
  const buttons = [...text.matchAll(/^\s+link: (\S+)$/gm)].map(([, link = ""]) => link); // of the home page
  return { anchors, links: [...links, ...buttons] };
}

/** A page of the built site. Only what is in its text: the frame around it is the same on each. */
export function pageOfHtml(html: string): Page {
  const unescaped = (text: string): string => text.replaceAll("&amp;", "&").replaceAll("&quot;", '"');
  const links = [...html.matchAll(/<a\b[^>]*?\shref="([^"]*)"/g)].map(([, link = ""]) => unescaped(link));
  const anchors = [...html.matchAll(/\sid="([^"]*)"/g)].map(([, id = ""]) => unescaped(id));
  return { anchors: new Set(anchors), links };
}

function textOf(heading: string): string {
  return heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/[`*]/g, "");
}

/** The anchor that VitePress makes of a heading; a test compares all of them with a build. */
function slugOf(heading: string): string {
  return heading
    .normalize("NFKD")
    .replaceAll(/[\u0300-\u036F]/g, "")
    .replaceAll(/[\s~`!@#$%^&*()\-_+=[\]{}|\\;:"'“”‘’<>,.?/]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .replace(/^(\d)/, "_$1")
    .toLowerCase();
}

function unique(slug: string, taken: ReadonlySet<string>): string {
  for (let n = 1, name = slug; ; name = `${slug}-${n++}`) if (!taken.has(name)) return name;
}
