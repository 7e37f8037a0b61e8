import { posix } from "node:path";
import { packageNames, textOf } from "./sources.ts";

/** READMEs and references of the repository, with the page that each becomes. */
function sources(): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of packageNames()) {
    found.set(`packages/${name}/README.md`, `packages/${name}`);
    for (const [file, page] of [
      ["REFERENCE.md", "reference"],
      ["CONFORMANCE.md", "conformance"],
    ] as const)
      if (textOf("packages", name, file) !== undefined)
        found.set(`packages/${name}/${file}`, `packages/${name}-${page}`);
  }
  found.set("apps/reference/README.md", "packages/clips");
  found.set("apps/hello/README.md", "packages/hello");
  found.set("apps/examples/README.md", "packages/examples");
  found.set("tooling/bench/README.md", "packages/benchmarks");
  found.set("tooling/chaos/README.md", "packages/fault-drills");
  return found;
}

/** The READMEs as pages, so that the search finds what is in them. */
export function packagePages(): Record<string, string> {
  const pages = [...sources()].map(([path, page]) => {
    const text = (textOf(path) ?? "").replaceAll(/<!--[\s\S]*?-->\n?/g, "");
    return [`${page}.md`, links(text, path)] as const;
  });
  return Object.fromEntries(pages);
}

/** The links of a text of the repository, as links of the site. What is no page becomes plain text. */
export function links(text: string, path: string): string {
  const known = sources();
  const pageOf = (target: string): string | undefined =>
    known.get(target) ?? known.get(posix.join(target, "README.md")) ?? (target === "README.md" ? "index" : undefined);
  return text.replaceAll(/\[([^\]]*)\]\(([^)\s]+)\)/g, (whole: string, words: string, target: string) => {
    if (/^(?:https?:|mailto:|#|\/)/.test(target)) return whole;
    const [file = "", anchor] = target.split("#");
    const page = pageOf(posix.normalize(posix.join(posix.dirname(path), file)).replace(/\/$/, ""));
    if (page === undefined) return words;
    return `[${words}](/${page}${anchor === undefined ? "" : `#${anchor}`})`;
  });
}
