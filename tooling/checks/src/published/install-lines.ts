import { count, sawNothing, type Check } from "../check.ts";
import { packageOf } from "../imports.ts";
import { firstProgram, installLine } from "../readme/install.ts";
import { libraries, type Package } from "../workspace.ts";

/** Who copies the install line and then the first program of a README has a program that runs, under strict layouts too. */
export const installLines: Check = {
  name: "install lines of READMEs",
  run(workspace) {
    const packs = libraries(workspace);
    const programs = packs.filter(({ readme }) => firstProgram(readme ?? "") !== undefined);
    return {
      saw: `${count(programs.length, "first program")} of ${count(packs.length, "package")}`,
      problems: [...sawNothing(packs.length, "library"), ...programs.flatMap(problemsOf)],
    };
  },
};

function problemsOf({ name, readme = "" }: Package): string[] {
  const line = installLine(readme);
  if (line === undefined) return [`${name}: README.md has no "npm install" below "## Install"`];
  const code = firstProgram(readme)?.code ?? "";
  const imported = [...code.matchAll(/(?: from|^import) "([^"]+)"/gm)].map(([, specifier]) =>
    packageOf(specifier ?? ""),
  );
  return [...new Set(imported)]
    .filter((needed) => needed !== undefined && !line.names.includes(needed))
    .map((needed) => `${name}: README.md imports ${needed} in its first program, which its install line leaves out`);
}
