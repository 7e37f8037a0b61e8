import { count, sawNothing, type Check } from "../check.ts";
import { packageOf } from "../imports.ts";
import { installLine } from "../readme/install.ts";
import { programsOf, type Program } from "../readme/programs.ts";
import { libraries, type Package } from "../workspace.ts";

/** Who copies the install line of a README and then its first program has all that this imports; later programs may name more. */
export const installLines: Check = {
  name: "install lines of READMEs",
  run(workspace) {
    const packs = libraries(workspace);
    const having = packs.filter(({ readme }) => programsIn(readme).length > 0);
    const programs = having.reduce((sum, { readme }) => sum + programsIn(readme).length, 0);
    return {
      saw: `${count(programs, "program")} of ${count(having.length, "package")}`,
      problems: [...sawNothing(packs.length, "library"), ...having.flatMap(problemsOf)],
    };
  },
};

const programsIn = (readme = ""): Program[] => programsOf(readme, "README.md");

function problemsOf({ name, readme = "" }: Package): string[] {
  const line = installLine(readme);
  if (line === undefined) return [`${name}: README.md has no "npm install" below "## Install"`];
  const anywhere = installedAnywhere(readme);
  const missing = programsIn(readme).flatMap(({ at, code }, i) => {
    const installed = i === 0 ? new Set(line.names) : anywhere;
    return [...code.matchAll(/(?: from|^import) "([^"]+)"/gm)]
      .map(([, specifier]) => packageOf(specifier ?? ""))
      .filter((needed) => needed !== undefined && !installed.has(needed))
      .map((needed) => `${name}: ${at} imports ${needed}, which it does not say to install`);
  });
  return [...new Set(missing)];
}

/** What later programs need besides stands in install lines of their own. Versions are left out. */
function installedAnywhere(readme: string): ReadonlySet<string> {
  const lines = [...readme.matchAll(/npm install ([^`\n#]+)/g)];
  const words = lines.flatMap(([, names = ""]) => names.trim().split(/\s+/));
  return new Set(words.map((word) => word.replace(/(?!^)@.*/, "")));
}
