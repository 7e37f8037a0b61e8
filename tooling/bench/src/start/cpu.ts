import type { Arm } from "../arms/arm.ts";
import { leveled } from "./graph.ts";
import { type Life, type LifeContender, Recorder } from "./recorder.ts";

const graph = leveled();
const atOnce = async (): Promise<void> => {};

/** Start, and stop, of 50 resources that take no time themselves: what is left is the CPU of who starts and stops them. */
export function startAndStop({ name, make }: LifeContender): readonly Arm[] {
  const lives = (count: number): Life[] => Array.from({ length: count }, () => make(new Recorder(graph, atOnce)));
  return [
    {
      name: `${name}: start of 50`,
      kind: "start",
      open() {
        let all: Life[] = [];
        return {
          before: async (count) => void (all = lives(count)),
          run: async () => {
            for (const life of all) await life.start();
          },
          after: async () => {
            for (const life of all) await life.stop();
          },
        };
      },
    },
    {
      name: `${name}: stop of 50`,
      kind: "stop",
      open() {
        let all: Life[] = [];
        return {
          before: async (count) => {
            all = lives(count);
            for (const life of all) await life.start();
          },
          run: async () => {
            for (const life of all) await life.stop();
          },
        };
      },
    },
  ];
}
