import type { Life, LifeContender, Recorder, Thing } from "../recorder.ts";

/** What one writes without a container: a promise for each node, and the way back along those who need it. */
function handWritten(recorder: Recorder): Life {
  const { graph } = recorder;
  const starting: Promise<Thing>[] = [];
  const start = async (index: number): Promise<Thing> => {
    const node = graph[index];
    if (node === undefined) throw new Error(`no node ${index}`);
    await Promise.all(node.needs.map((need) => starting[need]));
    return recorder.start(node);
  };
  const stop = async (): Promise<void> => {
    const stopping: Promise<void>[] = [];
    for (const node of [...graph].reverse()) {
      const above = graph.filter(({ needs }) => needs.includes(node.index));
      stopping[node.index] = Promise.all(above.map(({ index }) => stopping[index])).then(() => recorder.stop(node));
    }
    await Promise.all(stopping);
  };
  return {
    start: () => {
      for (const { index } of graph) starting[index] = start(index);
      return Promise.all(starting);
    },
    stop,
  };
}

export const contenders: readonly LifeContender[] = [{ name: "hand-written", make: handWritten }];
