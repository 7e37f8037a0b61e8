import { replaceClose } from "./examination.js";
const REASON = new Error("the caller lost patience");
const SHORT_MS = 200;
/** Every way to stop. */
export const stopCases = [
    {
        name: "stops once, however many ask",
        async run(examine) {
            const manager = await examine.ready();
            let closed = 0;
            const close = replaceClose(manager, (signal) => {
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
            if (!outcome.ok)
                await examine.refused(Promise.reject(outcome.error), "START_ABORTED");
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
            const close = replaceClose(manager, async (signal) => {
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
            const close = replaceClose(manager, () => new Promise(() => { }));
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
            const close = replaceClose(manager, async (signal) => {
                await close(signal);
                throw new Error("it would not close");
            });
            await examine.outcome(manager.stop());
            replaceClose(manager, close);
            await manager.start();
            examine.phase(manager, "ready");
            await manager.probe();
        },
    },
];
//# sourceMappingURL=contract-stop.js.map