/** Deepest nesting of a file. */
export const MAX_DEPTH = 64;
/** Largest file, in bytes. */
export const MAX_BYTES: number = 1024 * 1024;

/** What is wrong with the syntax of a file, and where. Its text never has a part of the file in it. */
export class SyntaxFault extends Error {
  readonly line: number;
  readonly column: number;

  constructor(message: string, { line, column }: Position) {
    super(message);
    this.line = line;
    this.column = column;
  }
}

/** A place in a text, from 1 on. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The place of an offset. */
export function positionOf(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return { line, column: offset - before.lastIndexOf("\n") };
}

/** `config/app.yaml:3:9`. */
export function placeIn(file: string, { line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

/** Whether a number of a file is what was written: large ones lose digits. */
export function isExact(value: number): boolean {
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
}
