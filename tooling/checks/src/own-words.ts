import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { count, sawNothing, type Check } from "./check.ts";

// Written so that this file does not match itself.
const forbidden: readonly (readonly [RegExp, string])[] = [
  [/https?:\/\/[\w.-]*(?:registry|verdaccio|artifactory|nexus)[\w.-]*(?::\d+)?\//i, "a package registry's address"],
  [/(?<![\w.@/-])\/(?:root|home\/\w+|Users\/\w+|work)\/[\w.-]+/, "a path of somebody's machine"],
  [/\b[Cc]:\\Users\\/, "a path of somebody's machine"],
];
const binary = new Set([".png", ".jpg", ".gif", ".ico", ".woff2", ".pdf", ".gz", ".zip", ".p12", ".der"]);

/** The repository talks of the project alone: no registry, no machine. A clone works anywhere. */
export const ownWords: Check = {
  name: "the repository talks of the project alone",
  run({ root }) {
    const files = listFiles(root);
    const lock = join(root, "pnpm-lock.yaml");
    return {
      saw: count(files.length, "file"),
      problems: [
        ...sawNothing(files.length, "file"),
        ...files.flatMap((file) => problemsIn(root, file)),
        ...(existsSync(lock) ? lockProblems(readFileSync(lock, "utf8")) : []),
      ],
    };
  },
};

function listFiles(root: string): string[] {
  // A clone that belongs to another user (in a container, say) is read all the same.
  const options = ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const names = execFileSync("git", options, { cwd: root, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 }).split("\0");
  return names.filter((n) => {
    const file = join(root, n);
    return n !== "" && !binary.has(extname(n)) && existsSync(file) && statSync(file).isFile();
  });
}

function problemsIn(root: string, file: string): string[] {
  const patterns = [...forbidden, [new RegExp(`${escaped(root)}(?![\\w-])`), "the path of this clone"] as const];
  const text = readFileSync(join(root, file), "utf8");
  return patterns.flatMap(([pattern, what]) => {
    const found = pattern.exec(text);
    if (found === null) return [];
    const line = text.slice(0, found.index).split("\n").length;
    return [`${file}:${line}: "${found[0]}" is ${what}`];
  });
}

/** A lock file with tarball addresses works only where those hosts are reachable. */
function lockProblems(text: string): string[] {
  const host = /(?:tarball:|https?:\/\/)\S*/.exec(text);
  return host === null ? [] : [`pnpm-lock.yaml names a host: ${host[0]}`];
}

function escaped(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
}
