/** Those who wait for one thing, such as a connection. */
export class Waiters<T> {
  #waiting: { resolve(value: T): void; reject(error: unknown): void }[] = [];

  wait(): Promise<T> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  resolve(value: T): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve(value);
  }

  reject(error: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
