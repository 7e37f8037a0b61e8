import type { HttpRequest } from "./exchange.ts";

/** An answer that is about to be sent. */
export interface SentAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, number | string | readonly string[] | undefined>>;
  /** Text or bytes; anything else is sent part by part. */
  readonly body: unknown;
}

/** A request, as far as what is kept of its answer is concerned. */
export interface Asked {
  readonly request: HttpRequest;
  readonly method: string;
  /** Method and route. */
  readonly name: string;
  readonly requestId: string;
  /** Values of the route's needs. */
  readonly values: unknown;
  /** Sets a header of the answer, unless that has begun. */
  setHeader(name: string, value: string): void;
  /** True once the client has gone without an answer. */
  hasGone(): boolean;
}

/** A request that is done, and whose answer is wanted for others. */
export interface Kept {
  /** True until there is an answer. */
  readonly isBegun: boolean;
  /** Whether it is clear that there is nothing to keep, so that it has to be given up once the handler has ended. */
  readonly isFailed: boolean;
  /** Reads a `Response` that the handler has given, where its bytes are wanted. */
  read?(response: Response): Promise<void>;
  /** Learns of the answer before its head is sent. */
  finish(sent: SentAnswer): Promise<void>;
  /** Gives it up. Does nothing where it is over. */
  release(): Promise<void>;
  /** An older answer, which is better than an error of ours. */
  older?(): Promise<Response | undefined>;
}

/** What becomes of a request: it is done, or there is an answer already. */
export type Beginning = Kept | Response;

/** Keeps answers of a route; `undefined` for a request whose answer is of no interest. */
export interface AnswerKeeper {
  begin(asked: Asked): Promise<Beginning | undefined>;
}
