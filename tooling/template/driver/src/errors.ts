/** Every error code of `@steward/sample`, with what it means. */
export const SAMPLE_CODES = {
  SAMPLE_REFUSED: "The remote refused what it was asked.",
} as const;

/** A code that `@steward/sample` itself raises. */
export type SampleCode = keyof typeof SAMPLE_CODES;
