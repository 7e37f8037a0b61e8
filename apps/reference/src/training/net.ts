import { denseNetwork } from "@steward/training/tfjs";
import { SCORE } from "./score.ts";

/** What the workers of the trainer load; nothing else does. */
export const network = denseNetwork({ ...SCORE, loss: "binaryCrossEntropy" });
