import type { EndSignal, MainProcess } from "../src/index.ts";

/** A process that notes what is done to it. */
export class FakeProcess implements MainProcess {
  readonly env: Record<string, string> = {};
  readonly written: string[] = [];
  readonly exits: number[] = [];
  readonly stderr = { write: (text: string) => this.written.push(text) };
  readonly #listeners = new Map<EndSignal, Set<() => void>>();

  on(signal: EndSignal, listener: () => void): void {
    this.#listeners.set(signal, (this.#listeners.get(signal) ?? new Set<() => void>()).add(listener));
  }
  off(signal: EndSignal, listener: () => void): void {
    this.#listeners.get(signal)?.delete(listener);
  }
  exit(code: number): void {
    this.exits.push(code);
  }
  send(signal: EndSignal): void {
    for (const listener of this.#listeners.get(signal) ?? []) listener();
  }
  get listening(): number {
    return [...this.#listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }
}
