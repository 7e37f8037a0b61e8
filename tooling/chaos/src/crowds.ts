import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { root, type Row, row, type Table } from "@steward/harness";

/** The test files of each server with crowds in them: the suite that all have, and for Fastify its sockets. */
const TESTS = {
  serve: ["server", "node/serve"],
  fastify: ["fastify", "integration/suite", "integration/ends"],
  express: ["express", "suite"],
  hono: ["hono", "suite"],
  nest: ["nest", "nest"],
} as const;

/** What one crowd has left on one server. */
export interface Crowd {
  readonly server: string;
  readonly what: string;
  readonly scopes: number;
  readonly leases: number;
  readonly descriptors: number;
  readonly ms: number;
}

/** What a server had to show. */
interface Shown {
  readonly server: string;
  readonly crowds: readonly Crowd[];
  readonly foreignReads: number;
  readonly ok: boolean;
}

const LEFT = /# (.+) left (\d+) scopes, (\d+) leases, (\d+) descriptors after (\d+) ms/g;
const FOREIGN = /# .+: (\d+) foreign reads/;

/** What the crowds of a run have left, by the comments of its tests. */
export function crowdsIn(server: string, output: string): Crowd[] {
  return [...output.matchAll(LEFT)].map(([, what = "", ...numbers]) => {
    const [scopes = NaN, leases = NaN, descriptors = NaN, ms = NaN] = numbers.map(Number);
    return { server, what, scopes, leases, descriptors, ms };
  });
}

/** Lets crowds of a thousand come to each server, one server after the other. */
export async function crowds(thousands: number, say: (what: string) => void): Promise<Shown[]> {
  const shown: Shown[] = [];
  for (const [server, [name, ...files]] of Object.entries(TESTS)) {
    say(`crowds on ${server}`);
    const folder = join(root, "packages", name);
    const compiled = await ran(folder, [join(root, "tooling/run/compile.mjs"), "tsconfig.test.json"], thousands);
    if (compiled.code !== 0) throw new Error(`the tests of ${name} do not compile`);
    let [output, ok] = ["", true];
    for (const file of files) {
      const run = await ran(folder, [join(folder, ".test/test", `${file}.test.js`)], thousands);
      output += run.output;
      ok &&= run.code === 0;
    }
    shown.push({ server, crowds: crowdsIn(server, output), foreignReads: Number(FOREIGN.exec(output)?.[1]), ok });
  }
  return shown;
}

/** Every crowd of every server. */
export function crowdTable(shown: readonly Shown[]): Table {
  const servers = shown.map(({ server }) => server);
  const all = shown.flatMap(({ crowds }) => crowds);
  const rows = [...new Set(all.map(({ what }) => what))].map((what) => [
    what,
    ...servers.map((server) => {
      const found = all.find((one) => one.server === server && one.what === what);
      return found === undefined ? "-" : `${found.scopes} / ${found.leases} / ${found.descriptors} (${found.ms} ms)`;
    }),
  ]);
  const foreign = ["foreign reads, pool of one", ...shown.map(({ foreignReads }) => foreignReads)];
  return {
    title: "Left of crowds: scopes / leases / descriptors (after so long)",
    columns: ["crowd", ...servers],
    rows: [...rows, foreign],
  };
}

/** Nothing may be left, and a server that says nothing of its crowds has failed. */
export function crowdRows(shown: readonly Shown[]): Row[] {
  return shown.flatMap(({ server, crowds, foreignReads, ok }) => {
    const left = crowds.map(({ scopes, leases, descriptors }) => scopes + leases + descriptors);
    const line = (work: string, unit: string, ours: number, bar: "= 0" | "<= 5000" | ">= 10"): Row =>
      row({ area: "crowds", work: `${server}: ${work}`, unit, ours, bar });
    return [
      line("crowds", "crowds", ok ? crowds.length : 0, ">= 10"),
      line(
        "left of all of them",
        "scopes, leases, descriptors",
        left.reduce((sum, one) => sum + one, 0),
        "= 0",
      ),
      line("until nothing is left, at most", "ms", Math.max(...crowds.map(({ ms }) => ms)), "<= 5000"),
      line("reads on another request's connection", "reads", foreignReads, "= 0"),
    ];
  });
}

/** Crowds of forty are what the suites have at an effort of 1. */
const PER_EFFORT = 40;

async function ran(
  cwd: string,
  args: readonly string[],
  thousands: number,
): Promise<{ readonly code: unknown; readonly output: string }> {
  const effort = String((thousands * 1_000) / PER_EFFORT);
  const env = { ...process.env, STEWARD_EFFORT: effort, TAP_TIMEOUT: "0" };
  const child = spawn(process.execPath, args, { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const [code] = (await once(child, "close")) as [unknown];
  if (code !== 0) process.stderr.write(output);
  return { code, output };
}
