const SLICES_PER_SECOND = 50;
const MOST_QUEUED_BYTES = 256 * 1024;
/** One direction of a proxied connection: bytes come out in order, late, slowly, or not at all. */
export class Flow {
    #source;
    #target;
    #faults;
    #listener;
    #queue = [];
    #queuedBytes = 0;
    #notBefore = 0;
    #timer;
    #full = false;
    #dead = false;
    constructor(source, target, faults, listener) {
        this.#source = source;
        this.#target = target;
        this.#faults = faults;
        this.#listener = listener;
        source.on("data", (bytes) => this.#take(bytes));
        source.on("end", () => this.#take(undefined));
        target.on("drain", () => {
            this.#full = false;
            this.run();
        });
    }
    /** True once bytes were lost: the stream has a hole, so nothing passes any more. */
    get dead() {
        return this.#dead;
    }
    /** Loses everything from here on, for good. */
    kill() {
        this.#dead = true;
        this.close();
        this.#listener.lost(this.#queuedBytes);
        this.#queuedBytes = 0;
        this.#source.resume();
    }
    /** Forgets what waits and ends the timer. */
    close() {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#queue.length = 0;
    }
    /** Lets what waits for its time go now. */
    hurry() {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#notBefore = 0;
        for (const chunk of this.#queue)
            chunk.dueAt = 0;
        this.run();
    }
    /** Passes on what may pass now, and sets the timer for the rest. */
    run() {
        while (this.#timer === undefined && !this.#full && !this.#faults.held) {
            const head = this.#queue[0];
            if (head === undefined)
                return;
            const waitMs = Math.max(head.dueAt, this.#notBefore) - performance.now();
            if (waitMs > 0)
                this.#wait(waitMs);
            else
                this.#pass(head);
        }
    }
    #take(bytes) {
        this.#listener.arrived(bytes?.length ?? 0);
        if (this.#dead || this.#faults.lossy) {
            this.#dead = true;
            this.#listener.lost(bytes?.length ?? 0);
            return;
        }
        const before = this.#queue.at(-1)?.dueAt ?? 0;
        this.#queue.push({ bytes, dueAt: Math.max(before, performance.now() + this.#faults.delayMs()) });
        this.#queuedBytes += bytes?.length ?? 0;
        if (this.#queuedBytes > MOST_QUEUED_BYTES)
            this.#source.pause();
        this.run();
    }
    #wait(ms) {
        this.#timer = setTimeout(() => {
            this.#timer = undefined;
            this.run();
        }, ms);
    }
    #pass(head) {
        if (head.bytes === undefined) {
            this.#queue.shift();
            this.#target.end();
            return;
        }
        const slice = head.bytes.subarray(0, Math.max(1, Math.ceil(this.#faults.bytesPerSecond / SLICES_PER_SECOND)));
        const allowed = this.#listener.allow(slice.length);
        if (allowed > 0)
            this.#write(slice.subarray(0, allowed));
        this.#listener.lost(slice.length - allowed);
        this.#consume(head, head.bytes, slice.length);
    }
    #write(bytes) {
        this.#notBefore = performance.now() + (bytes.length / this.#faults.bytesPerSecond) * 1_000;
        this.#full = !this.#target.write(bytes) && !this.#target.destroyed;
    }
    #consume(head, bytes, count) {
        this.#queuedBytes -= count;
        if (count === bytes.length)
            this.#queue.shift();
        else
            head.bytes = bytes.subarray(count);
        if (this.#queuedBytes < MOST_QUEUED_BYTES / 2)
            this.#source.resume();
    }
}
//# sourceMappingURL=flow.js.map