import { replaceOnStop, type ContractCase } from "./examination.ts";

const REASON = new Error("the caller lost patience");
const SHORT_MS = 200;

/** Every way to stop. */
export const stopCases: readonly ContractCase[] = [
  {
    name: "refuses to be ended by one of its users, and goes on",
    needs: "ends",
    async run(examine) {
      const manager = await examine.ready();
      const words = /\(\) is not for its users, because others use it too; stop its manager or its container$/;
      for (const end of examine.ends(manager)) {
        const ending = new Promise((resolve) => resolve(end()));
        await examine.refused(ending, "LIFECYCLE_CONFLICT");
        const outcome = await examine.outcome(ending);
        examine.assert.ok(
          !outcome.ok && outcome.error instanceof Error && words.test(outcome.error.message),
          "in the words of all",
        );
      }
      examine.phase(manager, "ready");
      await manager.probe();
    },
  },
  {
    name: "renews nothing before its start or behind its stop",
    async run(examine) {
      const manager = await examine.fresh();
      await examine.refused(manager.renew(), "RESOURCE_UNAVAILABLE");
      await manager.start();
      await manager.renew();
      await manager.stop();
      await examine.refused(manager.renew(), "RESOURCE_UNAVAILABLE");
    },
  },
  {
    name: "stops once, however many ask",
    async run(examine) {
      const manager = await examine.ready();
      let closed = 0;
      const close = replaceOnStop(manager, (signal) => {
        closed += 1;
        return close(signal);
      });
      await Promise.all([manager.stop(), manager.stop(), manager.stop()]);
      await manager.stop();
      examine.phase(manager, "stopped");
      examine.assert.strictEqual(closed, 1, "it was closed once");
    },
  },
  {
    name: "stops without ever having been started",
    async run(examine) {
      const manager = await examine.fresh();
      await manager.stop();
      await manager.stop();
      examine.phase(manager, "stopped");
    },
  },
  {
    name: "gives up its start when it is stopped meanwhile",
    async run(examine) {
      const manager = await examine.fresh();
      const starting = examine.outcome(manager.start());
      await manager.stop();
      examine.phase(manager, "stopped");
      const outcome = await starting;
      if (!outcome.ok) await examine.refused(Promise.reject(outcome.error), "START_ABORTED");
    },
  },
  {
    name: "refuses a call that waits when a stop begins as it refuses one that comes then",
    needs: "places",
    async run(examine) {
      const manager = await examine.ready();
      const running = Array.from({ length: examine.places }, () => examine.outcome(examine.use(manager)));
      const waiting = examine.outcome(examine.use(manager));
      const stopping = manager.stop();
      await examine.turnedAway(examine.use(manager), "stopping");
      await examine.turnedAway(
        waiting.then((outcome) => (outcome.ok ? outcome.value : Promise.reject(outcome.error))),
        "stopping",
      );
      await stopping;
      await Promise.all(running);
    },
  },
  {
    name: "drains and stops at the end of `await using`",
    async run(examine) {
      const manager = await examine.ready();
      await manager[Symbol.asyncDispose]();
      examine.phase(manager, "stopped");
      await manager[Symbol.asyncDispose]();
    },
  },
  {
    name: "is stopped even when stopping fails, and every caller learns the reason",
    async run(examine) {
      const manager = await examine.ready();
      const failure = new Error("it would not close");
      const close = replaceOnStop(manager, async (signal) => {
        await close(signal);
        throw failure;
      });
      const outcomes = await Promise.all([examine.outcome(manager.stop()), examine.outcome(manager.stop())]);
      for (const outcome of outcomes)
        examine.assert.ok(!outcome.ok && outcome.error === failure, "the stop rejects with the failure");
      examine.phase(manager, "stopped");
      await manager.stop();
    },
  },
  {
    name: "is stopped after its stop timeout even when stopping hangs",
    async run(examine) {
      const manager = await examine.ready({ stopTimeoutMs: SHORT_MS });
      const close = replaceOnStop(manager, () => new Promise(() => {}));
      await examine.refused(manager.stop(), "STOP_TIMEOUT");
      examine.phase(manager, "stopped");
      await close(AbortSignal.abort(REASON));
    },
  },
  {
    name: "stops by force when the signal of its stop aborts",
    async run(examine) {
      const manager = await examine.ready();
      await examine.outcome(manager.stop({ signal: AbortSignal.abort(REASON) }));
      examine.phase(manager, "stopped");
      await manager.stop({ signal: AbortSignal.abort(REASON) });
    },
  },
  {
    name: "can be started again after a stop that failed",
    async run(examine) {
      const manager = await examine.ready();
      const close = replaceOnStop(manager, async (signal) => {
        await close(signal);
        throw new Error("it would not close");
      });
      await examine.outcome(manager.stop());
      replaceOnStop(manager, close);
      await manager.start();
      examine.phase(manager, "ready");
      await manager.probe();
    },
  },
];
