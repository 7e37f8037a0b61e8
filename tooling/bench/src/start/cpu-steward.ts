import { contenders } from "./arms/steward.ts";
import { startAndStop } from "./cpu.ts";

export const arms = contenders.flatMap(startAndStop);
