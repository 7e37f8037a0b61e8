import { line } from "../../line.ts";

let batches = 0;

/** Its thread ends at the third batch. */
export const network: typeof line = {
  ...line,
  gradients(values, batch) {
    if (++batches === 3) process.exit(3);
    return line.gradients(values, batch);
  },
};
