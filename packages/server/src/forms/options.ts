import { shape, text, wholeNumber, type Shape } from "@steward/core/driver";

/** Bounds of forms, urlencoded ones excepted: those have the bound of bodies, and at most 1,000 fields. */
export interface FormOptions {
  /** Longest file, in bytes, where its input says nothing else. Default 10 MiB. */
  readonly maxFileBytes?: number;
  /** Most files in one form. Default 10. */
  readonly maxFiles?: number;
  /** Most fields in one form. Default 100. */
  readonly maxFields?: number;
  /** Longest field, in bytes. Default 1 MiB. */
  readonly maxFieldBytes?: number;
  /** Where files of inputs with `stream: "disk"` are written. Default: the system's folder for temporary files. */
  readonly directory?: string;
}

/** What the bounds of forms must be. */
export const formShape: Shape<FormOptions> = shape<FormOptions>(() => ({
  maxFileBytes: wholeNumber(1),
  maxFiles: wholeNumber(0),
  maxFields: wholeNumber(0),
  maxFieldBytes: wholeNumber(1),
  directory: text(),
}));

const MIB = 1024 * 1024;

/** The bounds with their defaults. */
export function boundsOf({
  maxFileBytes = 10 * MIB,
  maxFiles = 10,
  maxFields = 100,
  maxFieldBytes = MIB,
}: FormOptions): Required<Omit<FormOptions, "directory">> {
  return { maxFileBytes, maxFiles, maxFields, maxFieldBytes };
}

/** Where the bytes of an uploaded file go. */
export type FileTarget = "memory" | "disk" | "handler";

/** How a route takes the files of one name. */
export interface WantedFile {
  readonly target: FileTarget;
  /** Longest one, in bytes; `undefined` for what is usual. */
  readonly maxBytes: number | undefined;
}
