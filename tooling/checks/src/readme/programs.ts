/** A program that stands in a text, and what it says it prints. */
export interface Program {
  /** `README.md:12`, where it stands. */
  readonly at: string;
  readonly code: string;
  /** The `// => value` comments, in order. */
  readonly prints: readonly string[];
  /** False: it is type-checked, but needs something that a test run does not have. */
  readonly runs: boolean;
  /** Servers it needs: `postgres`, `redis`. */
  readonly needs: readonly string[];
  /** True: it ends its process, say, so it never shares one with other programs. */
  readonly alone: boolean;
  /** Name of the package in which it is run, where that is not the one whose text it stands in. */
  readonly inside: string | undefined;
  /** Name of a file beside the programs of its text, which import it; it does not run by itself. */
  readonly file: string | undefined;
}

/** What became of a program: why it failed, if it did, and what it printed. */
export interface Outcome {
  readonly failure: string | undefined;
  readonly output: string;
}

/** What stands before the outcome of a program in the output of a process that runs several. */
export const OUTCOME = "outcome of a program: ";

const fence = /^( *(?:\* ?)?)```(?:ts|js|typescript|javascript)\b([^\n]*)\n([\s\S]*?)^ *(?:\* ?)?```/gm;

/**
 * The programs of a Markdown text. The words behind the language say how to treat one: nothing, it is
 * compiled and run; `no-run`, it is only compiled; `fragment`, it is not a program; `needs=redis,postgres`,
 * it runs with REDIS_URL or DATABASE_URL of a real server; `alone`, it has a process of its own in any case;
 * `in=bench`, it is checked by the run that says `--in bench`, and by no other; `file=name.ts`, it is no program, but a
 * file that those of its text import, and those of later chapters of its folder (`1-start.md`, `2-settings.md`).
 */
export function programsOf(text: string, file: string): Program[] {
  return [...text.matchAll(fence)].flatMap((found) => {
    const [, margin = "", info = "", body = ""] = found;
    if (/\bfragment\b/.test(info)) return [];
    const line = text.slice(0, found.index).split("\n").length;
    const code = margin.includes("*") ? body.replaceAll(/^ *\* ?/gm, "") : body;
    const needs = /\bneeds=(\S+)/.exec(info)?.[1]?.split(",") ?? [];
    const inside = /\bin=(\S+)/.exec(info)?.[1];
    const fileName = /\bfile=(\S+)/.exec(info)?.[1];
    const [runs, alone] = [fileName === undefined && !/\bno-run\b/.test(info), /\balone\b/.test(info)];
    return [{ at: `${file}:${line}`, code, prints: printsOf(code), runs, needs, alone, inside, file: fileName }];
  });
}

/** The programs of the `@example` parts of a source file. */
export function examplesOf(source: string, file: string): Program[] {
  const comments = source.matchAll(/\/\*\*[\s\S]*?\*\//g);
  return [...comments].flatMap((comment) => {
    const [text] = comment;
    if (!text.includes("@example")) return [];
    const before = source.slice(0, comment.index).split("\n").length - 1;
    return programsOf(text, file).map((p) => {
      const line = Number(p.at.slice(file.length + 1)) + before;
      return { ...p, at: `${file}:${line}` };
    });
  });
}

function printsOf(code: string): string[] {
  return [...code.matchAll(/\/\/ => ?(.*)$/gm)].map((m) => m[1]?.trimEnd() ?? "");
}
