import { programsOf, type Program } from "./programs.ts";

/** What the install line of a README asks for. */
export interface InstallLine {
  readonly names: readonly string[];
  /** Variables in front of it. */
  readonly env: Readonly<Record<string, string>>;
}

/** The first `npm install` below the heading "Install", or of all; lines that follow it at once belong to it. */
export function installLine(readme: string): InstallLine | undefined {
  const heading = readme.indexOf("\n## Install");
  const found = /((?:[A-Z_]+=\S+ )*)npm install ([^`\n]+(?:\nnpm install [^`\n]+)*)/.exec(
    readme.slice(Math.max(heading, 0)),
  );
  if (found === null) return undefined;
  const [, variables = "", lines = ""] = found;
  const words = lines.replaceAll(/#.*/g, "").replaceAll("\nnpm install ", " ");
  const pairs = variables.split(" ").filter((pair) => pair !== "");
  return {
    names: words
      .trim()
      .split(/\s+/)
      .filter((word) => !word.startsWith("-")),
    env: Object.fromEntries(pairs.map((pair) => pair.split("=") as [string, string])), // the expression asks for one "="
  };
}

/** The first program that runs without a server; else the first that compiles. */
export function firstProgram(readme: string): Program | undefined {
  const programs = programsOf(readme, "README.md");
  return programs.find(({ runs, needs }) => runs && needs.length === 0) ?? programs[0];
}
