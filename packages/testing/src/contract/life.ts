import type { ContractCase } from "./examination.ts";

const REASON = new Error("the caller lost patience");

/** Start, restart, and giving up at any moment. */
export const lifeCases: readonly ContractCase[] = [
  {
    name: "is idle until it is started, and its client exists already",
    async run(examine) {
      const manager = await examine.fresh();
      examine.phase(manager, "idle");
      const { client } = manager;
      await manager.start();
      examine.phase(manager, "ready");
      examine.assert.ok(client === manager.client, "the client keeps its identity over the start");
    },
  },
  {
    name: "starts once, however many ask",
    async run(examine) {
      const manager = await examine.fresh();
      const all = await Promise.all([manager.start(), manager.start(), manager.start()]);
      examine.assert.ok(
        all.every((one) => one === manager),
        "every start gives the manager",
      );
      examine.assert.ok((await manager.start()) === manager, "a start of a ready one answers at once");
      examine.phase(manager, "ready");
    },
  },
  {
    name: "starts again after a stop, with the same client",
    async run(examine) {
      const manager = await examine.ready();
      const { client } = manager;
      for (let round = 0; round < 2; round += 1) {
        await manager.stop();
        examine.phase(manager, "stopped");
        await manager.start();
        examine.phase(manager, "ready");
        await manager.probe();
      }
      examine.assert.ok(client === manager.client, "the client keeps its identity over a restart");
    },
  },
  {
    name: "gives up a start whose signal aborted before, and can be started later",
    async run(examine) {
      const manager = await examine.fresh();
      await examine.refused(manager.start({ signal: AbortSignal.abort(REASON) }), "START_ABORTED");
      examine.phase(manager, "failed", "idle");
      await manager.start();
      examine.phase(manager, "ready");
    },
  },
  {
    name: "gives up a start whose signal aborts meanwhile, or has become ready by then",
    async run(examine) {
      const manager = await examine.fresh();
      const abort = new AbortController();
      const starting = manager.start({ signal: abort.signal });
      queueMicrotask(() => abort.abort(REASON));
      const outcome = await examine.outcome(starting);
      if (outcome.ok) return examine.phase(manager, "ready");
      await examine.refused(starting, "START_ABORTED");
      examine.phase(manager, "failed");
      await manager.start();
      examine.phase(manager, "ready");
    },
  },
  {
    name: "stays ready when a signal aborts that was for something else",
    async run(examine) {
      const manager = await examine.fresh();
      const abort = new AbortController();
      await manager.start({ signal: abort.signal });
      abort.abort(REASON);
      await examine.outcome(manager.probe({ signal: abort.signal }));
      await examine.outcome(manager.start({ signal: abort.signal }));
      examine.phase(manager, "ready");
      await manager.probe();
    },
  },
  {
    name: "refuses to start while it drains, and is stopped after that",
    async run(examine) {
      const manager = await examine.ready();
      const draining = manager.drain();
      examine.phase(manager, "draining");
      await examine.refused(manager.start(), "LIFECYCLE_CONFLICT");
      await draining;
      await manager.stop();
      examine.phase(manager, "stopped");
    },
  },
  {
    name: "settles a drain whose signal aborts, and stops after it",
    async run(examine) {
      const manager = await examine.ready();
      await examine.outcome(manager.drain({ signal: AbortSignal.abort(REASON) }));
      examine.phase(manager, "draining");
      await manager.stop();
      examine.phase(manager, "stopped");
    },
  },
];
