/** Longest event that is read; a peer that sends more is none of ours. */
const MOST_CHARACTERS = 8_000_000;

/** Reads server-sent events from text as it comes. */
export class EventReader {
  readonly #onEvent: (name: string, data: string) => void;
  #rest = "";

  constructor(onEvent: (name: string, data: string) => void) {
    this.#onEvent = onEvent;
  }

  /** @returns `false` when an event is longer than one may be. */
  take(text: string): boolean {
    const blocks = `${this.#rest}${text}`.split("\n\n");
    this.#rest = blocks.pop() ?? "";
    for (const block of blocks) this.#block(block);
    return this.#rest.length <= MOST_CHARACTERS;
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
