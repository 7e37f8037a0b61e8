import type { EndSignal } from "../src/index.ts";
import type { MainProcess } from "../src/main/options.ts";

/** A process that notes what is done to it. */
export class FakeProcess implements MainProcess {
  readonly env: Record<string, string> = {};
  readonly written: string[] = [];
  readonly exits: number[] = [];
  readonly stderr = { write: (text: string) => this.written.push(text) };
  readonly #listeners = new Map<string, Set<(error: Error) => void>>();

  on(event: EndSignal | "uncaughtException", listener: (error: Error) => void): void {
    this.#listeners.set(event, (this.#listeners.get(event) ?? new Set<(error: Error) => void>()).add(listener));
  }
  off(event: EndSignal | "uncaughtException", listener: (error: Error) => void): void {
    this.#listeners.get(event)?.delete(listener);
  }
  exit(code: number): void {
    this.exits.push(code);
  }
  send(signal: EndSignal): void {
    for (const listener of this.#listeners.get(signal) ?? []) listener(new Error("a signal comes without an error"));
  }
  /** Node does this with what nothing caught. Answers whether anything listened. */
  uncaught(error: unknown): boolean {
    const listeners = [...(this.#listeners.get("uncaughtException") ?? [])];
    for (const listener of listeners) listener(error as Error); // Node passes on whatever was thrown
    return listeners.length > 0;
  }
  get listening(): number {
    return [...this.#listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }
}
