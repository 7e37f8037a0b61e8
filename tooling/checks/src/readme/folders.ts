import { posix } from "node:path";
import type { Program } from "./programs.ts";

/** Programs of one text are written into one folder, beside the files of theirs that they import. */
export function pathOf(programs: readonly Program[], program: Program): string {
  const texts = [...new Set(programs.map(textOf))];
  const name = program.file ?? `program-${programs.indexOf(program)}.ts`;
  return `${texts.indexOf(textOf(program))}/${name}`;
}

/** All that is to be written, by path. A chapter has the files of those before it, but for those that it shows anew. */
export function writtenFiles(programs: readonly Program[]): Map<string, string> {
  const written = new Map<string, string>();
  for (const program of programs) {
    const folder = posix.dirname(pathOf(programs, program));
    for (const { file = "", code } of inherited(programs, program)) written.set(`${folder}/${file}`, code);
  }
  // Its own ones last: they replace what it has inherited.
  for (const program of programs) written.set(pathOf(programs, program), program.code);
  return written;
}

/** Files of earlier chapters, the oldest first. */
function inherited(programs: readonly Program[], program: Program): Program[] {
  const own = chapterOf(program);
  if (own === undefined) return [];
  const isBefore = (other: Program): boolean => {
    const chapter = chapterOf(other);
    return chapter !== undefined && chapter.book === own.book && chapter.number < own.number;
  };
  return programs
    .filter((other) => other.file !== undefined && isBefore(other))
    .sort((a, b) => (chapterOf(a)?.number ?? 0) - (chapterOf(b)?.number ?? 0));
}

/** Which chapter of which folder a text is: `tutorial/3-database.md` is the third of `tutorial`. */
function chapterOf(program: Program): { readonly book: string; readonly number: number } | undefined {
  const text = textOf(program);
  const number = /^(\d+)-/.exec(posix.basename(text))?.[1];
  return number === undefined ? undefined : { book: posix.dirname(text), number: Number(number) };
}

function textOf({ at }: Program): string {
  return at.replace(/:\d+$/, "").replaceAll("\\", "/");
}
