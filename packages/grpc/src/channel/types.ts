import type { ChannelInterface, Metadata } from "@grpc/grpc-js";
import type { Clock, Guard } from "@steward/core";
import type { CarriedCall, Link } from "./link.ts";

/** A call as a channel makes it; grpc-js has no public name for it. */
export type ChannelCall = ReturnType<ChannelInterface["createCall"]>;

/** Receives what comes back. */
export type CallListener = Parameters<ChannelCall["start"]>[1];

/** Goes along with a message that is sent. */
export type MessageContext = Parameters<ChannelCall["sendMessageWithContext"]>[0];

/** What of a method's definition a channel has to know. */
export interface MethodKind {
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

/** What a call carries besides its metadata. */
export interface Carried {
  /** Whether it brings call credentials of grpc-js, which it sends over any connection. */
  readonly hasCredentials: boolean;
  /** Of the work that makes it. */
  readonly requestId: string | undefined;
  /** W3C `traceparent` of its span, or else of the work that makes it. */
  readonly traceContext: string | undefined;
}

/** What all calls of a channel share. */
export interface CallOwner {
  readonly resource: string;
  readonly clock: Clock;
  readonly guard: Guard;
  /** Deadline of calls that bring none, in ms. */
  readonly timeoutMs: number;
  /** Longest silence in a stream that was answered, in ms. */
  readonly idleTimeoutMs: number;
  /** Whether the channel below may make several attempts, each with what is left of the time then. */
  readonly hasAttempts: boolean;
  /** Calls that have their place and still wait for what they carry. */
  readonly unsent: Set<CarriedCall>;
  /** What is known of a method; `undefined` for methods of clients that were made elsewhere. */
  kindOf(path: string): MethodKind | undefined;
  /** Whether its service, or the options of the channel, declare that a method may run twice. */
  readonly isRepeatable: (path: string) => boolean;
  /** Adds what every call carries. */
  readonly dress: (path: string, metadata: Metadata, carried: Carried) => Metadata | Promise<Metadata>;
  /** Where calls lead. */
  readonly address: () => string;
  /** Where a new call goes. */
  link(): Link;
}
