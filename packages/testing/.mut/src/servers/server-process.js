import { spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { StewardError } from "@steward/core";
import { serverEnvironment } from "./programs.js";
import { childrenOf, sendSignal } from "./process-table.js";
const LOG_TAIL_LINES = 12;
/**
 * A running server program. It has its own session, so the Ctrl-C of a terminal does not reach it, writes to a log
 * file, so it never fills a pipe, and does not keep our event loop alive.
 */
export class ServerProcess {
    pid;
    /** Resolves when the process has ended; never rejects. */
    ended;
    #child;
    #logFile;
    #exit;
    #frozen = [];
    constructor(child, pid, logFile) {
        this.#child = child;
        this.#logFile = logFile;
        this.pid = pid;
        this.ended = new Promise((resolve) => {
            child.once("exit", (code, signal) => {
                this.#exit = { code, signal };
                resolve(this.#exit);
            });
        });
        child.unref();
    }
    /** @throws {SERVER_START_FAILED} the program cannot be run. */
    static async spawn({ command, cwd, logFile }) {
        const [program = "", ...args] = command;
        const log = await open(logFile, "w", 0o600);
        try {
            const child = spawn(program, args, {
                cwd,
                detached: true,
                env: serverEnvironment(),
                stdio: ["ignore", log.fd, log.fd],
                windowsHide: true,
            });
            const failed = new Promise((resolve) => child.once("error", resolve));
            if (child.pid !== undefined)
                return new ServerProcess(child, child.pid, logFile);
            throw new StewardError("SERVER_START_FAILED", `${program} cannot be run: ${(await failed).message}`);
        }
        finally {
            await log.close();
        }
    }
    /** How it ended, while it runs `undefined`. */
    get exit() {
        return this.#exit;
    }
    /** The last lines the server wrote. */
    async logTail() {
        const text = await readFile(this.#logFile, "utf8").catch(() => "");
        return text.trim().split("\n").slice(-LOG_TAIL_LINES).join("\n");
    }
    /** Stops the process and its children in their tracks. */
    async freeze() {
        if (this.#exit !== undefined)
            return;
        sendSignal(this.pid, "SIGSTOP");
        // The parent is stopped first, so it forks no further child meanwhile.
        const children = await childrenOf(this.pid);
        for (const child of children)
            sendSignal(child, "SIGSTOP");
        this.#frozen = [...children, this.pid];
    }
    /** Lets a frozen process go on. */
    thaw() {
        for (const pid of this.#frozen.splice(0))
            sendSignal(pid, "SIGCONT");
    }
    /**
     * Sends one signal after the other until the process has ended.
     *
     * @throws {SERVER_STOP_TIMEOUT} it outlived them all.
     */
    async end(steps) {
        this.#child.ref();
        try {
            for (const [signal, waitMs] of steps) {
                if (this.#exit !== undefined)
                    return;
                sendSignal(this.pid, signal);
                this.thaw();
                if (await this.#endsWithin(waitMs))
                    return;
            }
        }
        finally {
            this.#child.unref();
        }
        const signals = steps.map(([signal]) => signal).join(", ");
        throw new StewardError("SERVER_STOP_TIMEOUT", `process ${this.pid} is still alive after ${signals}`);
    }
    async #endsWithin(waitMs) {
        const over = new AbortController();
        const timeout = sleep(waitMs, false, { signal: over.signal }).catch(() => false);
        const done = await Promise.race([this.ended.then(() => true), timeout]);
        over.abort();
        return done;
    }
}
//# sourceMappingURL=server-process.js.map