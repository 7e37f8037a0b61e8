/** Every error code of `@steward/testing`, with what it means. */
export const TESTING_CODES = {
  CONDITION_NOT_MET: "What a test waits for did not come in time.",
  DID_NOT_FAIL: "A promise that should have failed was fulfilled.",
  HANDLES_LEAKED: "Something still keeps the process alive after the test.",
} as const;

/** A code that `@steward/testing` raises. */
export type TestingCode = keyof typeof TESTING_CODES;
