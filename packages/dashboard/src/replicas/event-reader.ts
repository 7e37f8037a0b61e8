/** Longest event that is read; a peer that sends more is none of ours. */
const MOST_CHARACTERS = 4_000_000;
const END = "\n\n";

/** A part of up to so many characters is joined with the next one. */
const SHORT = 4_096;

/** Reads server-sent events from text as it comes. */
export class EventReader {
  readonly #onEvent: (name: string, data: string) => void;
  /** What has come of an event that has not ended: joined once, at its end. */
  #parts: string[] = [];
  #length = 0;

  constructor(onEvent: (name: string, data: string) => void) {
    this.#onEvent = onEvent;
  }

  /** @returns `false` when an event is longer than one may be. */
  take(text: string): boolean {
    // An end may stand half in what came before.
    const last = this.#parts.pop() ?? "";
    const blocks = `${last}${text}`.split(END);
    const rest = blocks.pop() ?? "";
    for (const block of blocks) {
      this.#block([...this.#parts.splice(0), block].join(""));
      this.#length = 0;
    }
    // A part that is long is left alone but for its last character, which may begin an end.
    if (rest.length > SHORT) this.#parts.push(rest.slice(0, -1), rest.slice(-1));
    else this.#parts.push(rest);
    this.#length += text.length;
    return this.#length <= MOST_CHARACTERS;
  }

  #block(block: string): void {
    let name = "message";
    let data: string | undefined;
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("data: ")) data = line.slice(6);
    }
    if (data !== undefined) this.#onEvent(name, data);
  }
}
