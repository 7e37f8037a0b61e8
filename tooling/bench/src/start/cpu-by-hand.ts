import { contenders } from "./arms/by-hand.ts";
import { startAndStop } from "./cpu.ts";

export const arms = contenders.flatMap(startAndStop);
