import type { Clock, Timer } from "@steward/core";
import type { WebSocket } from "ws";
import type { Payload } from "../wire/protocol.ts";
import type { Attempt, Target } from "./connection/dial.ts";
import type { Link, Patience } from "./connection/link.ts";
import type { PausePlan } from "./connection/pauses.ts";
import type { SenderPlan } from "./messages/sender.ts";

/** What a resume hook is handed: it goes before everything that waits. */
export interface Resumption {
  /** Name of the session. */
  readonly session: string;
  /** The real socket. */
  readonly socket: WebSocket;
  /** 0 for the first connection, then how often it was replaced. */
  readonly reconnects: number;
  /** Sends a message now. */
  send(data: Payload): Promise<void>;
  /** Makes a call now. */
  call(body: unknown): Promise<unknown>;
}

/**
 * Called on every new connection before anything else is sent: log in, subscribe. The connection is ended, and another one
 * tried, where it rejects, or neither ends nor waits for a send or a call of its own for `connectTimeoutMs`.
 */
export type ResumeHook = (resumption: Resumption) => unknown;

/** What a resume hook is run with. */
export interface ResumePlan {
  readonly name: string;
  readonly clock: Clock;
  readonly resume: ResumeHook | undefined;
  /** How long a hook may go on without waiting for a send or a call of its own, in ms. */
  readonly connectTimeoutMs: number;
}

/** What a session is given by its manager. */
export interface SessionPlan extends PausePlan, Patience, ResumePlan, SenderPlan {
  readonly targets: readonly Target[];
  /** A socket of the user's, instead of targets: it is never replaced or closed. */
  readonly client: WebSocket | undefined;
  readonly offline: "reject" | "wait";
  readonly maxPending: number;
  readonly maxPendingBytes: number;
  readonly maxUnread: number;
  /** Time without a message after which it is closed, in ms; 0 for never. */
  readonly idleSessionTimeoutMs: number;
  readonly closeTimeoutMs: number;
  /** Called when a connection is there and resumed. */
  readonly onOpen: () => void;
  /** Called when its connection is gone. */
  readonly onState: () => void;
  /** It is closed for good. */
  readonly onEnd: () => void;
}

/** Events of a session. */
export interface SessionEvents {
  /** A message, as `ws` gives it. */
  message: [data: Buffer, isBinary: boolean];
  /** A connection is there and resumed. */
  open: [socket: WebSocket];
  /** A connection ended; the next one is made by itself. */
  close: [code: number, reason: string];
  /** Messages of a room are lost: load its state anew. */
  gap: [room: string];
  /** The hub did not let us into a room again after a reconnect. */
  expelled: [room: string, error: unknown];
}

/** Where a session is. */
export type SessionState = "closed" | "connecting" | "resuming" | "open" | "waiting";

/** The same with what belongs to it. */
export type State =
  | { readonly name: "closed"; readonly why: string }
  | { readonly name: "connecting"; readonly dial: Attempt; readonly attempt: number }
  | { readonly name: "resuming" | "open"; readonly link: Link; readonly attempt: number }
  | { readonly name: "waiting"; readonly timer: Timer; readonly attempt: number };
