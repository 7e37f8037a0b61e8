import { runWithContext, StewardError } from "@steward/core";
import { isThenable } from "@steward/core/container";
import type { AnyHandler, HttpRequest } from "./exchange.ts";
import { RequestScope, SOCKET_MS } from "./request-scope.ts";
import { discardStream, trackStream } from "./stream-end.ts";

/** A route as its requests see it: something that resolves its needs. */
export interface Needing {
  /** In the same tick, where nothing has to be waited for. */
  resolve(life: RequestLife): Promise<void> | undefined;
}

/**
 * The life of one request: its scope, its deadline, its abort signal, its commit, its background work and its release.
 * A framework's adapter extends it, and calls one method for each part of a request: {@link hook}, {@link handle},
 * {@link commit}, {@link failedOutside}; {@link handshake} and {@link converse} for sockets.
 */
export abstract class RequestLife<Request extends HttpRequest = HttpRequest, Reply = unknown> extends RequestScope<
  Request,
  Reply
> {
  /** Answers with an error, because the deadline has passed without an answer. */
  protected abstract answerWith(error: StewardError): void;

  /**
   * Resolves a route's needs and calls its handler; gives its result, to be sent. It stays in one tick where nothing
   * has to be waited for. The commit comes when the answer has been serialised, see {@link commit}.
   *
   * @param repliesLater True where a result of `undefined` means that the answer comes from a callback.
   */
  handle(route: Needing, handler: AnyHandler, repliesLater: boolean): unknown {
    return runWithContext(this, () => {
      this.running++;
      try {
        const resolving = route.resolve(this as never); // what it wants of a life, every life has
        if (resolving !== undefined) return this.#handleLate(resolving, handler, repliesLater);
        const result = this.#call(handler);
        return isThenable(result) ? this.#handleLate(result, undefined, false) : this.#handled(result, repliesLater);
      } catch (error) {
        return this.#failed(error);
      }
    });
  }

  async #handleLate(
    pending: PromiseLike<unknown>,
    handler: AnyHandler | undefined,
    repliesLater: boolean,
  ): Promise<unknown> {
    this.watch();
    this.time();
    try {
      const first = await pending;
      const returned = handler === undefined ? first : this.#call(handler);
      if (handler !== undefined && returned === undefined && repliesLater) return this.#handled(this.reply, true);
      const result = isThenable(returned) && returned !== this.reply ? await returned : returned;
      if (this.answered || this.phase === "replied") await this.commit(); // nothing is going to be serialised
      return this.#handled(result, false);
    } catch (error) {
      return this.#failed(error);
    }
  }

  #call(handler: AnyHandler): unknown {
    return handler(this.resolved as never, this.request as never, this.reply as never); // the signature of `handler` has checked it
  }

  /** The handler has its result, and the rest is up to the end of the response. */
  #handled(result: unknown, repliesLater: boolean): unknown {
    if (this.outcome?.kind === "failed") {
      discardStream(result);
      this.watch();
      this.end();
      return this.reply; // the client has an answer
    }
    const isLater = result === this.reply || (result === undefined && repliesLater);
    const stream = trackStream(result, this);
    if (stream !== undefined) this.stream = stream.ended;
    this.end();
    if (isLater) this.time();
    if (isLater || stream !== undefined || !this.endAtOnce()) this.watch();
    if (result === undefined && !repliesLater) return Promise.resolve();
    return stream === undefined ? result : stream.body;
  }

  async #failed(error: unknown): Promise<never> {
    const given = this.outcome?.kind === "failed" && this.answered; // the client has an answer
    try {
      return await this.fail(error);
    } catch (failure) {
      if (given) return this.reply as never; // it is what stands for an answer that was given
      throw failure;
    } finally {
      this.end();
    }
  }

  /** Runs a hook of a route, with needs of its own. */
  async hook(route: Needing, call: (values: never) => unknown): Promise<never> {
    this.watch();
    this.time();
    this.running++;
    try {
      return await runWithContext(this, async () => {
        await route.resolve(this as never); // as in `handle`
        return (await call(this.resolved as never)) as never; // `handler` has checked the needs
      });
    } catch (error) {
      return await this.fail(error);
    } finally {
      this.end();
    }
  }

  /**
   * The answer has been serialised, and its headers are about to be sent: commits what is to be committed before.
   * `undefined` where there is nothing to wait for.
   *
   * @throws What a commit failed with; it is then the answer.
   */
  commit(): Promise<void> | undefined {
    const scope = this.scope;
    const isDue = this.outcome?.kind !== "failed" && scope !== undefined && !scope.settlesAtOnce;
    return isDue ? runWithContext(this, () => scope.settle()) : undefined;
  }

  /**
   * Something failed besides the handler: a serializer, a hook, a timeout of the framework. Where nothing runs any
   * more, everything is unwound before the error is answered.
   */
  async failedOutside(error: unknown): Promise<void> {
    if (!this.isOpen) return;
    this.note({ kind: "failed", error });
    if (this.running > 0) return;
    try {
      await this.fail(error);
    } catch {
      // it is answered already
    }
  }

  /** Resolves the needs of a socket's route before the handshake is answered. Its scope ends whatever becomes of the handshake. */
  async handshake(route: Needing): Promise<void> {
    await this.hook(route, () => undefined);
  }

  /**
   * Calls the handler of a socket that is open. The scope ends when the socket is closed and the handler has ended;
   * one that does not end has 3,000 ms.
   *
   * @throws What the handler failed with.
   */
  async converse(socket: { on(event: "close", listener: () => void): unknown }, call: () => unknown): Promise<void> {
    this.isSocket = true;
    this.untime();
    socket.on("close", () => this.responseOver());
    this.running++;
    try {
      await runWithContext(this, async () => call());
      await this.scope?.settle();
    } catch (error) {
      await this.fail(error);
    } finally {
      this.end();
    }
  }

  /** The deadline has passed. */
  override expire(): void {
    if (this.isSocket) return this.#giveUpSocket();
    const error = new StewardError("DEADLINE_EXCEEDED", "the request took longer than its deadline");
    if (this.answered) return this.giveUpCalls(error);
    this.note({ kind: "failed", error });
    runWithContext(this, () => this.answerWith(error));
  }

  #giveUpSocket(): void {
    if (!this.isOpen) return;
    this.log.error({}, `the handler of ${this.name} has not ended ${SOCKET_MS} ms after its socket was closed`);
    this.finish();
  }
}
