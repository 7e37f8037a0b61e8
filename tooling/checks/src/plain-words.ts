import { join } from "node:path/posix";
import { count, sawNothing, type Check } from "./check.ts";

/** The file that has to name the words. */
const WORD_LIST = "tooling/checks/src/plain-words.ts";

/** Words of a dialect of our own, with what a reader of any mother tongue understands at once. */
const dialect: Readonly<Record<string, string>> = {
  tell: "report, say, show, name",
  tells: "reports, says, shows, names",
  told: "reported, said, shown, given",
  telling: "reporting, saying",
  "of now": "current",
  "of late": "recent",
  shall: "must, has to, is to",
  whoever: "who or what it is: the caller, the owner",
  nobody: "no one",
  "nobody's": "no one's",
  doorway: "the term of the field",
  visit: "request scope",
  surroundings: "environment, context",
  pace: "rate, interval",
};

const pattern = new RegExp(`(?<![\\w-])(?:${Object.keys(dialect).join("|")})(?![\\w-])`, "gi");

/** Sources and READMEs keep to plain words. "way" and "leave" are not here: they have plain uses. */
export const plainWords: Check = {
  name: "plain words in sources and READMEs",
  run({ packages }) {
    const texts = packages
      .flatMap(({ sources, readme, reference, pages, group, short }) => [
        ...sources,
        ...pages,
        ...(readme === undefined ? [] : [{ path: join(group, short, "README.md"), text: readme }]),
        ...(reference === undefined ? [] : [{ path: join(group, short, "REFERENCE.md"), text: reference }]),
      ])
      .filter(({ path }) => path !== WORD_LIST);
    return {
      saw: `${count(texts.length, "file")} of ${count(packages.length, "package")}`,
      problems: [...sawNothing(texts.length, "file"), ...texts.flatMap(problemsIn)],
    };
  },
};

function problemsIn({ path, text }: { readonly path: string; readonly text: string }): string[] {
  return text.split("\n").flatMap((line, i) =>
    [...line.matchAll(pattern)].map(([word]) => {
      const better = dialect[word.toLowerCase()] ?? "a plain word";
      return `${path}:${i + 1}: "${word}" is no plain word: ${better}`;
    }),
  );
}
