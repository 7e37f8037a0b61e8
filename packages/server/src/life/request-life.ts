import { StewardError, systemClock } from "@steward/core";
import { isThenable } from "@steward/core/container";
import { cutWhenStalled } from "../connections/stalled-answer.ts";
import { loggable } from "../log/loggable.ts";
import { answerTo } from "../problem/problem.ts";
import type { AnyHandler, HttpRequest } from "./exchange.ts";
import type { AnswerKeeper, Beginning, Kept, SentAnswer } from "./kept.ts";
import { RequestScope, SOCKET_MS } from "./request-scope.ts";
import { discardStream, trackStream } from "./stream-end.ts";

/** A route as its requests see it: something that resolves its needs. */
export interface Needing {
  /** In the same tick, where nothing has to be waited for. */
  resolve(life: RequestLife): Promise<void> | undefined;
  /** Keeps its answers, for requests that are sent again or that others send. */
  readonly keeper?: AnswerKeeper | undefined;
}

/** How long a client that has gone leaves time to the answer that is still made, in ms. */
const ANSWER_MS = 1_000;

/**
 * The life of one request: its scope, its deadline, its abort signal, its commit, its background work and its release.
 * A framework's adapter extends it, and calls one method for each part of a request: {@link hook}, {@link handle},
 * {@link commit}, {@link failedOutside}; {@link handshake} and {@link converse} for sockets.
 */
export abstract class RequestLife<Request extends HttpRequest = HttpRequest, Reply = unknown> extends RequestScope<
  Request,
  Reply
> {
  #beginning: Beginning | undefined = undefined;

  /** Answers with an error, because the deadline has passed without an answer. */
  protected abstract answerWith(error: StewardError): void;

  /**
   * Resolves a route's needs and calls its handler; gives its result, to be sent. It stays in one tick where nothing
   * has to be waited for. The commit comes when the answer has been serialised, see {@link commit}.
   *
   * @param repliesLater True where a result of `undefined` means that the answer comes from a callback.
   */
  handle(route: Needing, handler: AnyHandler, repliesLater: boolean): unknown {
    return this.within(() => {
      this.running++;
      try {
        const resolving = this.#prepare(route);
        if (resolving !== undefined) return this.#handleLate(resolving, handler, repliesLater);
        const result = this.#call(handler);
        return isThenable(result) ? this.#handleLate(result, undefined, false) : this.#handled(result, repliesLater);
      } catch (error) {
        return this.#failed(error);
      }
    });
  }

  #prepare(route: Needing): Promise<void> | undefined {
    const resolving = route.resolve(this as never); // what it wants of a life, every life has
    const { keeper } = route;
    return keeper === undefined ? resolving : this.#begin(keeper, resolving);
  }

  /** Asks for an answer that is there already, once it is known who asks, and that who asks may. */
  async #begin(keeper: AnswerKeeper, resolving: Promise<void> | undefined): Promise<void> {
    await resolving;
    const { request, name, requestId, resolved: values, response } = this;
    const method = response.req.method ?? "";
    const setHeader = (header: string, value: string): void => this.setHeader(header, value);
    const hasGone = (): boolean => response.destroyed && !response.writableEnded;
    this.#beginning = await keeper.begin({ request, method, name, requestId, values, setHeader, hasGone });
    if (this.#kept !== undefined) response.on("close", () => this.#giveUp());
  }

  /** What is made now, and wanted for others. */
  get #kept(): Kept | undefined {
    return this.#beginning instanceof Response ? undefined : this.#beginning;
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
      else if (result instanceof Response) await this.#kept?.read?.(result);
      return this.#handled(result, false);
    } catch (error) {
      return this.#failed(error);
    }
  }

  #call(handler: AnyHandler): unknown {
    if (this.#beginning instanceof Response) return this.#beginning; // it was done before
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
    if (stream !== undefined) {
      this.stream = stream.ended;
      cutWhenStalled(this.response, this.serving.stallTimeoutMs);
    }
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
      const older = await this.#older(failure);
      if (older === undefined) throw failure;
      return older as never; // it is sent as what a handler gives
    } finally {
      this.end();
    }
  }

  /** The answer that was cached before, where an error is ours and something may still be sent. */
  async #older(error: unknown): Promise<Response | undefined> {
    const kept = this.#kept;
    if (kept?.older === undefined) return undefined;
    await kept.release();
    if (answerTo(error, {}).status < 500) return undefined;
    const older = await kept.older();
    if (older === undefined || this.answered) return undefined;
    this.log.error({ err: loggable(error) }, `${this.name} failed, and was answered as before`);
    this.#beginning = older;
    return older;
  }

  /** Runs a hook of a route, with needs of its own. */
  async hook(route: Needing, call: (values: never) => unknown): Promise<never> {
    this.watch();
    this.time();
    this.running++;
    try {
      return await this.within(async () => {
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
   * The answer has been serialised, and its headers are about to be sent: commits what is to be committed before, and
   * keeps the answer where it is wanted again. `undefined` where there is nothing to wait for.
   *
   * @param sent The answer, errors included; without it none can be kept.
   * @throws What a commit failed with; it is then the answer.
   */
  commit(sent?: () => SentAnswer): Promise<void> | undefined {
    const scope = this.scope;
    const isDue = this.outcome?.kind !== "failed" && scope !== undefined && !scope.settlesAtOnce;
    const committing = isDue ? this.within(() => scope.settle()) : undefined;
    const kept = this.#kept;
    return sent === undefined || kept === undefined ? committing : this.#keep(kept, committing, sent());
  }

  /** True where the answer is to be kept: errors are given to {@link commit} too then. */
  get keepsAnswer(): boolean {
    return this.#kept !== undefined;
  }

  /** The answer stands, whether or not it can be kept. */
  async #keep(kept: Kept, committing: Promise<void> | undefined, sent: SentAnswer): Promise<void> {
    await committing;
    await this.#onKeeping(kept.finish(sent));
    if (kept.isFailed && this.running === 0) await this.#onKeeping(kept.release());
  }

  async #onKeeping(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.log.error({ err: loggable(error) }, `the store of answers of ${this.name} failed`);
    }
  }

  protected override end(): void {
    super.end();
    this.#giveUp();
  }

  /** Nothing runs any more: it is given up, unless there is an answer to keep, or one may still be on its way. */
  #giveUp(): void {
    const kept = this.#kept;
    if (kept === undefined || this.running > 0) return;
    if (kept.isFailed) this.track(this.#onKeeping(kept.release()));
    else if (kept.isBegun && this.response.destroyed)
      this.track(systemClock.sleep(ANSWER_MS).then(() => this.#onKeeping(kept.release())));
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
      await this.within(async () => call());
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
    if (this.answered) {
      cutWhenStalled(this.response, this.serving.stallTimeoutMs);
      return this.giveUpCalls(error);
    }
    this.note({ kind: "failed", error });
    this.within(() => this.answerWith(error));
  }

  #giveUpSocket(): void {
    if (!this.isOpen) return;
    this.log.error({}, `the handler of ${this.name} has not ended ${SOCKET_MS} ms after its socket was closed`);
    this.finish();
  }
}
