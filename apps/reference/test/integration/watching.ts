import { once } from "node:events";
import { freePorts } from "@steward/launchers";
import { WebSocket } from "ws";
import { beginningOf, stepAfter } from "../../src/renderer/render.ts";
import { db } from "../../src/resources/stores.ts";
import type { LocalClips } from "./clips.ts";
import type { Job } from "../../src/processing/jobs.ts";

/** A job as it goes over the wire. */
export type ToldJob = Omit<Job, "createdAt" | "updatedAt"> & { readonly createdAt: string; readonly updatedAt: string };

type Frame = Readonly<Record<string, unknown>>;

/** Somebody with a browser, who watches how the processing of a video goes. */
export class Watcher implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #frames: Frame[] = [];
  readonly #waiting = new Set<() => void>();
  /** Why the server has closed the socket. */
  closedWith: number | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data) => {
      this.#frames.push(JSON.parse(String(data)) as Frame); // the hub speaks JSON objects
      for (const wake of this.#waiting) wake();
    });
    socket.on("error", () => {}); // its close follows
    socket.on("close", (code) => {
      this.closedWith = code;
      for (const wake of this.#waiting) wake();
    });
  }

  /** Opens a socket as a page of that server does. */
  static async connect(url: string): Promise<Watcher> {
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws`, { origin: url });
    const watcher = new Watcher(socket);
    await once(socket, "open");
    return watcher;
  }

  /** Connects and joins the room of a video; what was said there before is told again. */
  static async join(url: string, videoId: string): Promise<Watcher> {
    const watcher = await Watcher.connect(url);
    const answer = await watcher.ask({ join: `video:${videoId}`, after: {} });
    if (!("ok" in answer)) throw new Error(`not let in: ${JSON.stringify(answer)}`);
    return watcher;
  }

  /** What the hub answers to a request. */
  async ask(request: Frame): Promise<Frame> {
    const id = Math.floor(Math.random() * 1e9);
    this.#socket.send(JSON.stringify({ id, ...request }));
    return this.#first((frame) => frame["id"] === id && !("data" in frame));
  }

  /** Everything that was told of the video. */
  get told(): readonly ToldJob[] {
    return this.#frames.flatMap((frame) => ("data" in frame ? [frame["data"] as ToldJob] : [])); // rooms of videos
  }

  /** The first that was told of which that is true. */
  async hears(isIt: (job: ToldJob) => boolean): Promise<ToldJob> {
    const frame = await this.#first((one) => "data" in one && isIt(one["data"] as ToldJob)); // as above
    return frame["data"] as ToldJob;
  }

  /** All until the job has ended. */
  async toTheEnd(): Promise<readonly ToldJob[]> {
    await this.hears(({ status }) => status === "done" || status === "failed");
    return this.told;
  }

  async #first(isIt: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.#frames.find(isIt);
      if (found !== undefined) return found;
      if (this.#socket.readyState !== WebSocket.OPEN)
        throw new Error(`the socket has closed; heard: ${JSON.stringify(this.#frames.slice(-3))}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }
}

/** Adds a video of that length and gives its id. */
export async function addVideo(url: string, durationMs: number): Promise<string> {
  const response = await fetch(`${url}/api/v1/videos`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ title: "Sunrise", sourceUrl: "https://example.com/sunrise.mp4", durationMs }),
  });
  if (response.status !== 201) throw new Error(await response.text());
  return ((await response.json()) as { id: string }).id; // the API says so
}

/** Has a video processed. */
export async function process(url: string, videoId: string): Promise<ToldJob> {
  const response = await fetch(`${url}/api/v1/videos/${videoId}/process`, { method: "POST" });
  if (response.status !== 202) throw new Error(await response.text());
  return (await response.json()) as ToldJob; // the API says so
}

/** How the processing of a video stands. */
export async function stateOf(url: string, videoId: string): Promise<ToldJob> {
  const response = await fetch(`${url}/api/v1/videos/${videoId}/process`);
  if (response.status !== 200) throw new Error(await response.text());
  return (await response.json()) as ToldJob; // the API says so
}

/** A port of this machine where nobody listens, and which is given to none that asks for any. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new Error("no port is free");
  return port;
}

/** Steps of the video that these tests use, and its length. */
export const STEPS = 20;
export const DURATION_MS: number = STEPS * 1_000;

/** Whether progress never goes back. */
export function isInOrder(told: readonly ToldJob[]): boolean {
  return told.every(({ progress }, i) => progress >= (told[i - 1]?.progress ?? 0));
}

/** Kept by what was rendered if every step was done, in order, and once. */
export function wholeResult(): Buffer {
  let place = beginningOf({ url: "https://example.com/sunrise.mp4", durationMs: DURATION_MS });
  for (let i = 0; i < STEPS; i++) place = stepAfter(place);
  return place.state;
}

/** What has been kept of it so far. */
export async function resultOf(clips: LocalClips, { id }: ToldJob): Promise<unknown> {
  const [row] = await clips.running.get(db).$client`select checkpoint from processing_jobs where id = ${id}`;
  return row?.["checkpoint"];
}
