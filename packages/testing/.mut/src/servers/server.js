import { StewardError } from "@steward/core";
import { launch } from "./launch.js";
// A port that was ours a moment ago may be lent to an outgoing connection; those are short.
const SAME_PORT_WAIT_MS = 3_000;
const KILL_WAIT_MS = 30_000;
/** A server process of ours with its life: one operation at a time, in the order of the calls. */
export class OwnedServer {
    host = "127.0.0.1";
    #plan;
    #release;
    #current;
    #queue = Promise.resolve();
    #stopped;
    /** `release` runs once, after the server was stopped. */
    constructor(plan, launched, release) {
        this.#plan = plan;
        this.#current = launched;
        this.#release = release;
    }
    get port() {
        return this.#current.port;
    }
    get pid() {
        return this.#process.pid;
    }
    get running() {
        return this.#process.exit === undefined;
    }
    /** Resolves when the present process has ended. */
    get ended() {
        return this.#process.ended;
    }
    get #process() {
        return this.#current.process;
    }
    stop() {
        this.#stopped ??= this.#inTurn(async () => {
            try {
                await this.#process.end(this.#plan.endSteps);
            }
            finally {
                await this.#release();
            }
        });
        return this.#stopped;
    }
    kill(signal = "SIGKILL") {
        return this.#whileOurs(() => this.#process.end([[signal, KILL_WAIT_MS]]));
    }
    pause() {
        return this.#whileOurs(() => this.#process.freeze());
    }
    resume() {
        return this.#whileOurs(() => Promise.resolve(this.#process.thaw()));
    }
    restart() {
        return this.#whileOurs(async () => {
            await this.#process.end(this.#plan.endSteps);
            this.#current = await launch({ ...this.#plan, port: this.port, portWaitMs: SAME_PORT_WAIT_MS });
        });
    }
    [Symbol.asyncDispose]() {
        return this.stop();
    }
    #whileOurs(operation) {
        if (this.#stopped === undefined)
            return this.#inTurn(operation);
        return Promise.reject(new StewardError("SERVER_STOPPED", `${this.#plan.name}: this handle was stopped; start a new server`));
    }
    #inTurn(operation) {
        const turn = this.#queue.then(operation);
        this.#queue = turn.catch(() => undefined);
        return turn;
    }
}
//# sourceMappingURL=server.js.map