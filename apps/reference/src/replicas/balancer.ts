import { createServer, request as send, STATUS_CODES } from "node:http";
import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { pipeline, type Duplex } from "node:stream";
import type { Clock } from "@steward/core";
import { answerOtherUpgrades, closeWithConnection } from "@steward/server";
import { Connections } from "./connection.ts";
import { endToEnd, forwarded, hasBody, headOf, LATE, readiness, refusal, urlOf } from "./messages.ts";

/** A server behind the balancer. */
export interface Target {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** What a balancer needs. */
export interface BalancerPlan {
  readonly targets: readonly Target[];
  readonly clock: Clock;
  /** Called when a target is taken out, and when it is put back. */
  readonly onChange?: (target: Target, isIn: boolean, why: string) => void;
  /** Whether what an address says of a request's way so far is passed on. Default: of none. */
  readonly trusts?: (address: string) => boolean;
}

/** How much has gone over a connection, both ways, when it was last looked at, and when that had changed, in ms of the clock. */
interface Motion {
  bytes: number;
  movedAt: number;
}

/** A target, and whether it gets anything new. */
interface Place extends Target {
  readonly agent: Connections;
  /** The connections of what is under way there. */
  readonly underWay: Map<Socket, Motion>;
  isIn: boolean;
  /** Since when it is out because its answer takes too long, and for no other reason, in ms of the clock. */
  lateSince: number | undefined;
}

/** One request, or one WebSocket, on its way to a target. */
interface Course {
  readonly isWebSocket: boolean;
  readonly headers: string[];
  /** Listens to what the target answers. */
  answered(outgoing: ClientRequest): void;
  /** Sends the rest, once there is a connection. */
  send(outgoing: ClientRequest): void;
  /** Whether the one who asked has gone. */
  isOver(): boolean;
  fail(status: number, why: string): void;
}

const CHECK_MS = 1_000;
/**
 * A connection that is idle is closed so late, in ms, because a request that meets the end of its connection is lost: the 5 s
 * of Node lost 4 of 51,000 in a drill. It is what a server of Steward has.
 */
const IDLE_MS = 72_000;
/** A target that has answered no check for as long is frozen, in ms. */
const FROZEN_MS = 10_000;
const OF_REFUSAL = ["content-type", "application/problem+json"];

/** Ends what is under way at a target that is frozen. */
class Frozen extends Error {}

/**
 * Spreads requests and WebSockets over servers of HTTP/1. Once a second each is asked for `/readyz`: an answer other than
 * 200, or none, takes it out, and the next good one puts it back. What is under way at one that is out goes on. What
 * certainly no server has begun is tried at another one, and so is what only reads and had no answer yet. Where all are
 * busy, so that none is in and some were only late, those get what comes: to refuse everybody would make it no better.
 *
 * A server that has answered no check for 10 s is frozen (SIGSTOP, a full disk, a loop): what has not moved there for as
 * long is ended, with 504 where no answer had begun. What moves, such as a stream or a long upload, goes on.
 */
export class Balancer {
  readonly #places: readonly Place[];
  readonly #clock: Clock;
  readonly #onChange: BalancerPlan["onChange"];
  readonly #trusts: NonNullable<BalancerPlan["trusts"]>;
  readonly #server = createServer({ keepAliveTimeout: IDLE_MS }, (request, response) =>
    this.#forward(request, response),
  );
  readonly #sockets = new Set<Duplex>();
  #last = 0;

  constructor({ targets, clock, onChange, trusts = () => false }: BalancerPlan) {
    this.#places = targets.map((target) => ({
      ...target,
      agent: new Connections(),
      underWay: new Map(),
      isIn: false,
      lateSince: undefined,
    }));
    this.#clock = clock;
    this.#onChange = onChange;
    this.#trusts = trusts;
    answerOtherUpgrades(this.#server);
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** Looks at all targets once, then listens. @returns the URL. */
  async start(host: string, port: number): Promise<string> {
    await this.check();
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject).listen(port, host, resolve);
    });
    const listening = this.#server.address() as AddressInfo; // it listens on TCP
    return urlOf(host, listening.port);
  }

  /** The targets that get something new. */
  get targets(): readonly Target[] {
    return this.#places.filter(({ isIn }) => isIn);
  }

  /** Looks at all targets every second until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(CHECK_MS, signal).catch(() => {});
      if (!signal.aborted) await this.check();
    }
  }

  /** Looks at all targets now. */
  async check(): Promise<void> {
    await Promise.all(this.#places.map((place) => this.#check(place)));
  }

  async #check(place: Place): Promise<void> {
    const problem = await readiness(place, CHECK_MS);
    this.#put(place, problem === undefined, problem ?? "it is ready");
    place.lateSince = problem === LATE ? (place.lateSince ?? this.#clock.now()) : undefined;
    for (const [socket, motion] of place.underWay) this.#look(socket, motion, place.lateSince ?? Infinity);
  }

  #look(socket: Socket, motion: Motion, lateSince: number): void {
    const [bytes, now] = [socket.bytesRead + socket.bytesWritten, this.#clock.now()];
    if (bytes !== motion.bytes) Object.assign(motion, { bytes, movedAt: now });
    else if (now - Math.max(motion.movedAt, lateSince) >= FROZEN_MS) socket.destroy(new Frozen());
  }

  #put(place: Place, isIn: boolean, why: string): void {
    if (place.isIn !== isIn) this.#onChange?.(place, isIn, why);
    place.isIn = isIn;
  }

  /** Takes no new connections, ends WebSockets, and waits for the requests under way. */
  async drain(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.keepAliveTimeout = 1; // ms
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Cuts off what is left. */
  stop(): void {
    this.#server.closeAllConnections();
    for (const { agent } of this.#places) agent.destroy();
  }

  #forward(request: IncomingMessage, response: ServerResponse): void {
    closeWithConnection(request, response);
    this.#send(request, {
      isWebSocket: false,
      headers: this.#forwarded(request),
      answered: (outgoing) => {
        response.once("close", () => {
          outgoing.destroy();
          // What was answered early has not been read to its end, and clients may send all of it before they listen.
          request.unpipe(outgoing).resume();
        });
        outgoing.once("response", (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders));
          pipeline(answer, response, () => {});
        });
      },
      send: (outgoing) => void request.pipe(outgoing),
      isOver: () => response.destroyed,
      fail: (status, why) => {
        if (response.headersSent) response.destroy();
        else response.writeHead(status, OF_REFUSAL).end(refusal(status, why));
      },
    });
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket)).on("error", () => {}); // its close follows
    this.#send(request, {
      isWebSocket: true,
      headers: [
        ...this.#forwarded(request),
        "connection",
        "upgrade",
        "upgrade",
        request.headers.upgrade ?? "websocket",
      ],
      answered: (outgoing) => {
        socket.once("close", () => outgoing.destroy());
        outgoing.once("upgrade", (answer, upstream, first) => {
          socket.write(headOf(answer, answer.rawHeaders));
          upstream.unshift(first);
          upstream.write(head);
          pipeline(upstream, socket, upstream, () => {});
        });
        outgoing.once("response", (answer) => {
          socket.write(headOf(answer, [...endToEnd(answer.rawHeaders), "connection", "close"]));
          pipeline(answer, socket, () => socket.destroy()); // for a client may keep its half open
        });
      },
      send: (outgoing) => void outgoing.end(),
      isOver: () => socket.destroyed,
      fail: (statusCode, why) => {
        const head = headOf({ statusCode, statusMessage: STATUS_CODES[statusCode] }, [
          ...OF_REFUSAL,
          "connection",
          "close",
        ]);
        socket.end(head + refusal(statusCode, why), () => socket.destroy());
      },
    });
  }

  #forwarded(request: IncomingMessage): string[] {
    return forwarded(request, this.#trusts(request.socket.remoteAddress ?? ""));
  }

  /** Sends a request to the next target in turn that is in and has not refused it. */
  #send(request: IncomingMessage, course: Course, refused: ReadonlySet<Place> = new Set()): void {
    const place = this.#next(refused);
    if (place === undefined) return course.fail(503, "no replica is ready");
    const { method, url: path } = request;
    const { host, port, agent } = place;
    const { headers, isWebSocket } = course;
    const outgoing = send({ host, port, method, path, headers, setHost: false, agent: isWebSocket ? false : agent });
    const again = (): void => this.#send(request, course, new Set([...refused, place]));
    let [isSent, isAnswered] = [false, false];
    const begin = (): void => {
      isSent = true;
      course.send(outgoing);
    };
    outgoing.once("socket", (socket) => {
      place.underWay.set(socket, { bytes: 0, movedAt: this.#clock.now() });
      (isWebSocket ? socket : outgoing).once("close", () => place.underWay.delete(socket));
      if (socket.connecting) socket.once("connect", begin);
      else begin();
    });
    // A server that is about to end says so: it need not wait for its turn to be asked.
    outgoing.once("response", ({ headers }) => {
      isAnswered = true;
      if (headers.connection === "close") void this.#check(place);
    });
    outgoing.once("error", (error) => {
      // An answer that is cut off ends its course by itself; one that came early may be whole.
      if (course.isOver() || isAnswered) return;
      if (!isSent) {
        this.#put(place, false, error.message);
        again();
      } else if (isRepeatable(request)) again();
      else if (error instanceof Frozen) course.fail(504, "the replica stands still; it may do what was asked later");
      else course.fail(502, "the replica ended before it had answered");
    });
    course.answered(outgoing);
  }

  #next(refused: ReadonlySet<Place>): Place | undefined {
    const all = this.#places.map((_, i, places) => places[(this.#last + 1 + i) % places.length] as Place); // in turn
    const free = all.filter((place) => !refused.has(place));
    const notBefore = this.#clock.now() - FROZEN_MS;
    const next = free.find(({ isIn }) => isIn) ?? free.find(({ lateSince = -Infinity }) => lateSince > notBefore);
    if (next !== undefined) this.#last = this.#places.indexOf(next);
    return next;
  }
}

/** Whether it only reads, and all of it can be sent again: a body has been passed on. */
function isRepeatable(request: IncomingMessage): boolean {
  return (request.method === "GET" || request.method === "HEAD") && !hasBody(request);
}
