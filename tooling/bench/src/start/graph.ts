import { randomFrom } from "@steward/harness";

/** A resource of a graph that is to be started and stopped. */
export interface LifeNode {
  readonly index: number;
  readonly name: string;
  /** Distance from the bottom, for containers that are given an order. */
  readonly level: number;
  /** Indices of what it needs; all are smaller than its own. */
  readonly needs: readonly number[];
  readonly startMs: number;
  readonly stopMs: number;
  /** Its start fails at its end. */
  readonly fails: boolean;
}

/** A graph in an order in which it could be started one by one. */
export type LifeGraph = readonly LifeNode[];

const LEVELS = 5;
const WIDTH = 10;
// The last node of a level is needed by no one, so that a slow one delays only itself, unless a container waits for levels.
const NEEDED = WIDTH - 1;

/** 50 nodes in 5 levels of 10, 80 edges, 10 ms each way; `slow` takes 60 ms, `failing` fails. */
export function leveled({ slow, failing }: { readonly slow?: number; readonly failing?: number } = {}): LifeGraph {
  return Array.from({ length: LEVELS * WIDTH }, (_, index) => {
    const level = Math.floor(index / WIDTH);
    const place = index % WIDTH;
    const below = (level - 1) * WIDTH;
    const needs = level === 0 ? [] : [below + (place % NEEDED), below + ((place + 4) % NEEDED)];
    const ms = index === slow ? 60 : 10;
    return { index, name: `r${index}`, level, needs, startMs: ms, stopMs: ms, fails: index === failing };
  });
}

/** The node of the second level that no one needs. */
export const SLOW_NODE: number = 2 * WIDTH - 1;

/** The shortest possible start or stop: the longest chain. */
export function idealMs(graph: LifeGraph, ms: (node: LifeNode) => number): number {
  const until: number[] = [];
  for (const node of graph) until.push(Math.max(0, ...node.needs.map((need) => until[need] ?? 0)) + ms(node));
  return Math.max(...until);
}

/** A graph of 5 to 40 nodes, each with up to 4 needs, up to 30 ms each way; in every second one a node or two fail. */
export function randomGraph(seed: number): LifeGraph {
  const random = randomFrom(seed);
  const upTo = (most: number): number => Math.floor(random() * (most + 1));
  const size = 5 + upTo(35);
  const failing = seed % 2 === 0 ? [] : [upTo(size - 1), ...(seed % 4 === 1 ? [upTo(size - 1)] : [])];
  return Array.from({ length: size }, (_, index) => {
    const needs = [...new Set(Array.from({ length: upTo(Math.min(index, 4)) }, () => upTo(index - 1)))];
    return {
      index,
      name: `r${index}`,
      level: 0,
      needs,
      startMs: upTo(30),
      stopMs: upTo(30),
      fails: failing.includes(index),
    };
  });
}
