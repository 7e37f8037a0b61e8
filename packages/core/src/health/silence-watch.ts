import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../time/clock.ts";
import { lookEveryMs, Lookout } from "../time/lookout.ts";

/** How far an answer has come. Another value than before says that the connection lives. */
export interface AnswerProgress {
  /** Which piece of work the answer is for: a number that each gets anew. */
  readonly begun: number;
  /** Bytes that have come so far. */
  readonly received: number;
}

/** What a {@link SilenceWatch} works on. `C` is a connection of the driver. */
export interface SilenceWatchParts<C> {
  readonly clock: Clock;
  /** Silence after which the server is asked, in ms; 0: never. */
  readonly silenceMs: number;
  /** All connections there are. */
  readonly connections: () => Iterable<C>;
  /** How far an answer has come that a connection owes; `undefined` where it owes none, or has ended. */
  readonly progressOf: (connection: C) => AnswerProgress | undefined;
  /** Asks the server, over a connection of its own, which of these it does not work for. Rejects without an answer. */
  readonly ask: (suspects: readonly C[], signal: AbortSignal) => Promise<ReadonlySet<C>>;
  /** Cuts a connection off that the server does not work for. */
  readonly cutOff: (connection: C, silentMs: number) => void;
  /** Called after some were cut off: those that are idle may share their fate. */
  readonly onLost: () => void;
  /** Called at every look, for what else is to be done now and then. Default: nothing. */
  readonly onTick?: () => void;
}

/** Since when nothing has come on a connection that owes an answer. */
interface Silence extends AnswerProgress {
  readonly since: number;
  askAt: number;
}

/**
 * Silence below this is never suspicious, in ms: an answer may be on its way. It is also the time that the last bytes have
 * when the server says that it is not at work: it may have finished just before it was asked.
 */
const LEAST_SILENCE_MS = 200;

/**
 * Finds connections whose peer has vanished without a word, for drivers that carry one piece of work at a time.
 *
 * A long piece of work is silent too, so silence alone proves nothing: the server is asked over another connection what it
 * does for those that are silent. One that it works for is left alone; one that it does not know of is cut off if nothing
 * comes from it in the next 200 ms either.
 */
export class SilenceWatch<C> {
  readonly #parts: SilenceWatchParts<C>;
  readonly #silences = new Map<C, Silence>();
  readonly #lookout: Lookout;
  #asking: AbortController | undefined;

  constructor(parts: SilenceWatchParts<C>) {
    this.#parts = parts;
    const { clock, silenceMs, onTick } = parts;
    this.#lookout = new Lookout(clock, lookEveryMs(silenceMs === 0 ? 1_000 : silenceMs), (stoodStill) => {
      onTick?.();
      if (stoodStill) this.#silences.clear();
      if (silenceMs > 0) this.#look();
    });
  }

  /** Looks from now on: every look costs one pass over the connections. */
  start(): void {
    this.#lookout.start();
  }

  /** Looks no more, and gives up a question that is under way. */
  stop(): void {
    this.#lookout.stop();
    this.#asking?.abort();
    this.#silences.clear();
  }

  /** The server has answered elsewhere: what is silent is asked about now. */
  serverAnswers(): void {
    const now = this.#parts.clock.now();
    for (const silence of this.#silences.values())
      if (now - silence.since >= LEAST_SILENCE_MS) silence.askAt = Math.min(silence.askAt, now);
    this.#look();
  }

  #look(): void {
    const { clock, connections, progressOf, silenceMs } = this.#parts;
    const now = clock.now();
    let isDue = false;
    const owing = new Set<C>();
    for (const connection of connections()) {
      const progress = progressOf(connection);
      if (progress === undefined) continue;
      owing.add(connection);
      const silence = this.#silences.get(connection);
      if (silence === undefined || !isSame(silence, progress))
        this.#silences.set(connection, { ...progress, since: now, askAt: now + silenceMs });
      else if (now >= silence.askAt) isDue = true;
    }
    for (const connection of this.#silences.keys()) if (!owing.has(connection)) this.#silences.delete(connection);
    if (isDue && this.#asking === undefined && this.#lookout.isLooking) void this.#ask(now);
  }

  async #ask(now: number): Promise<void> {
    const suspects = [...this.#silences].filter(([, { since }]) => now - since >= LEAST_SILENCE_MS);
    const asking = (this.#asking = new AbortController());
    let answered = false;
    try {
      const gone = await this.#parts.ask(
        suspects.map(([connection]) => connection),
        asking.signal,
      );
      answered = true;
      if (gone.size > 0) {
        await lastBytes(this.#parts.clock, asking.signal);
      }
      this.#judge(suspects, gone);
    } catch {
      // No answer proves nothing; the deadline of each piece of work goes on.
    } finally {
      this.#asking = undefined;
      this.#askLater(suspects, answered);
    }
  }

  #judge(suspects: readonly (readonly [C, Silence])[], gone: ReadonlySet<C>): void {
    const { clock, progressOf, cutOff, onLost } = this.#parts;
    let found = false;
    for (const [connection, silence] of suspects) {
      const progress = gone.has(connection) ? progressOf(connection) : undefined;
      if (progress === undefined || !isSame(silence, progress)) continue;
      this.#silences.delete(connection);
      found = true;
      cutOff(connection, clock.now() - silence.since);
    }
    if (found) onLost();
  }

  /** A piece of work that the server is at may go on for long: it is asked again after as long as it has been silent. */
  #askLater(suspects: readonly (readonly [C, Silence])[], answered: boolean): void {
    const { clock, silenceMs } = this.#parts;
    const now = clock.now();
    for (const [, silence] of suspects) silence.askAt = now + Math.max(silenceMs, answered ? now - silence.since : 0);
  }
}

/** Waits for the last bytes of a server that says it is not at work. @throws the reason of the signal when that aborts. */
export async function lastBytes(clock: Clock, signal: AbortSignal): Promise<void> {
  await clock.sleep(LEAST_SILENCE_MS, signal);
  await nextTurn(); // what lies in the sockets is read first
}

function isSame(a: AnswerProgress, b: AnswerProgress): boolean {
  return a.begun === b.begun && a.received === b.received;
}
