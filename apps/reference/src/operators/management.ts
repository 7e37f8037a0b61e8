import type { ManagementOptions, RunningContainer } from "@steward/container";
import { profileRoute } from "@steward/container/profile";
import { dashboard, dnsPeers, type Dashboard } from "@steward/dashboard";
import { levelRoute } from "@steward/logging";
import { isOwnHost } from "../checks.ts";
import { log } from "../resources/log.ts";
import { trainingRuns } from "../training/jobs.ts";

type Variables = Readonly<Record<string, string | undefined>>;

const LEAST_TOKEN = 16;

/**
 * A listener for operators on this machine alone, where `MANAGEMENT_PORT` asks for one: health with all details, the
 * dashboard at `/steward/`, and with `CLIPS_ADMIN_TOKEN` the level of the log, and profiles. It answers from before the start, so that
 * a start that waits or fails can be seen, until everything has stopped. What the settings refuse opens nothing here.
 */
export class Management {
  readonly options: ManagementOptions | false;
  readonly #board: Dashboard;
  #running: RunningContainer | undefined;

  /** @param say Writes a line for who has started Clips. */
  constructor(env: Variables, say: (text: string) => void) {
    const given = env["CLIPS_ADMIN_TOKEN"];
    const token = given !== undefined && given.length >= LEAST_TOKEN ? given : undefined;
    // From here on its journal is kept, so that it shows the start too. Without a token, each start makes one.
    const peers = () => peersOf(env["MANAGEMENT_PEERS"]);
    const runs = () => this.#running?.get(trainingRuns);
    this.#board = dashboard({ peers, runs, ...(token === undefined ? {} : { token }) });
    const port = portOf(env["MANAGEMENT_PORT"]);
    const host = env["MANAGEMENT_HOST"] ?? "127.0.0.1";
    this.options =
      port === undefined || !isOwnHost(host)
        ? false
        : { port, host, routes: this.#routes(token), onListening: announced };
    const board = this.#board;
    function announced(listening: string): void {
      const url = `${listening}/steward/`;
      say(`Operators of this machine are served at ${listening}`);
      // What operators have chosen stands in no log; what this start has made is known from here alone.
      say(`The dashboard is at ${token === undefined ? board.link(url) : `${url}?t=<CLIPS_ADMIN_TOKEN>`}`);
    }
  }

  /** The routes reach what runs from here on. */
  started(running: RunningContainer): void {
    this.#running = running;
  }

  #routes(token: string | undefined): NonNullable<ManagementOptions["routes"]> {
    const routes = { "/steward/": this.#board };
    if (token === undefined) return routes;
    const level = levelRoute(() => this.#running?.get(log), { token });
    return { ...routes, "/log-level": level, "/steward/profile": profileRoute({ token }) };
  }
}

function portOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,5}$/.test(text) && Number(text) < 65_536 ? Number(text) : undefined;
}

/** The dashboards of all replicas; that of this process leaves itself out. */
async function peersOf(text = ""): Promise<string[]> {
  const found = await Promise.all(text.split(",").map((name) => (name === "" ? [] : dnsPeers(name.trim())())));
  return found.flat();
}
