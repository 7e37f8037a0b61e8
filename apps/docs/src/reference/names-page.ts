import { links } from "./package-pages.ts";
import { packageNames, sectionOf, textOf } from "./sources.ts";

const heading = /^## Names of /;

/** What the names of other documents are called here, of all packages on one page. */
export function namesPage(): string {
  const parts = packageNames().flatMap((name) =>
    ["README.md", "REFERENCE.md"].flatMap((file) => {
      const section = sectionOf(textOf("packages", name, file) ?? "", heading);
      const path = `packages/${name}/${file}`;
      return section === undefined
        ? []
        : [`## @steward/${name}${file === "README.md" ? "" : ", more"}\n\n${links(section, path).trim()}\n`];
    }),
  );
  if (parts.length === 0) throw new Error("no README has a section of names");
  return `# Names of FastAPI documents

What is called so in documents of FastAPI services, SQLAlchemy and their like, and what to write here, package by package. The guide
[from FastAPI](/compare/fastapi) goes by topic.

${parts.join("\n")}`;
}
