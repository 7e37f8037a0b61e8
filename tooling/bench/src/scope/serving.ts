import type { Work } from "../arms/arm.ts";
import { type Page, type Request, verify } from "./graph.ts";

/** Serves requests. `sync` where the container can, else `wait`; both open a scope, resolve the page and release. */
export interface Server {
  readonly sync?: (request: Request) => Page;
  readonly wait?: (request: Request) => Promise<Page>;
  /** Opens a scope, resolves the page and gives what has to be kept so that both stay alive. */
  readonly hold?: (request: Request) => readonly unknown[] | Promise<readonly unknown[]>;
  /** True where a synchronous run never gives memory back, so that the event loop has to turn now and then. */
  readonly needsTurns?: boolean;
}

const TURN_EVERY = 50;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

// Pages are stored where the compiler cannot see that they are never read; else it would not build them at all.
const recent: unknown[] = new Array<unknown>(8).fill(undefined);

/** Requests as work of an arm. */
export function serving(server: Server): Work {
  const { hold } = server;
  return {
    run: (count) => serve(server, count),
    check: () => check(server),
    ...(hold === undefined ? {} : { hold: () => hold({ id: "a" }) }),
  };
}

async function serve({ sync, wait, needsTurns = false }: Server, count: number): Promise<void> {
  if (needsTurns) return serveTurning({ sync, wait }, count);
  if (sync !== undefined) for (let i = 0; i < count; i++) recent[i & 7] = sync({ id: "a" });
  else if (wait !== undefined) for (let i = 0; i < count; i++) recent[i & 7] = await wait({ id: "a" });
}

type Either = { readonly [Name in "sync" | "wait"]: Server[Name] | undefined };

/** Lets the event loop turn now and then: some containers release what they hold weakly only then. */
async function serveTurning({ sync, wait }: Either, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    recent[i & 7] = sync?.({ id: "a" }) ?? (await wait?.({ id: "a" }));
    if (i % TURN_EVERY === 0) await turn();
  }
}

/** The pages of two requests, checked against what the graph promises. */
async function check({ sync, wait }: Server): Promise<void> {
  const [first, second] = [{ id: "1" }, { id: "2" }] as const;
  const page = async (request: Request): Promise<Page | undefined> => sync?.(request) ?? (await wait?.(request));
  const [one, two] = [await page(first), await page(second)];
  if (one === undefined || two === undefined) throw new Error("a container has to have sync or wait");
  verify(one, first, two, second);
}
