import { rounds, sleep, trackHandles } from "@steward/testing";
import { redisForTests } from "@steward/launchers";
import t from "tap";
import { instance, type Instance, type InstanceOptions } from "./setup.ts";

const handles = trackHandles();
const server = await redisForTests();
const KEYS = 5;
const READS = rounds(300);
/** A control has so many reads to be seen. */
const MOST_READS = 3_000;

/** Rows with versions. A read is stale when it gives less than what was void for all when it began. */
class Model {
  readonly #rows = new Array<number>(KEYS).fill(1);
  readonly #safe = new Array<number>(KEYS).fill(1);
  reads = 0;
  stale = 0;

  async read({ cache }: Instance, row: number): Promise<void> {
    const least = this.#safe[row] ?? 0;
    const load = async (): Promise<number> => {
      const version = this.#rows[row] ?? 0;
      await sleep(Math.random() * 20);
      return version;
    };
    const tags = (): readonly string[] => [`row:${row}`];
    const got = await cache.getOrLoad(["row", row], load, row % 2 === 0 ? { tags: tags() } : { tags });
    this.reads += 1;
    if (typeof got !== "number" || got < least) this.stale += 1;
  }

  async write({ cache }: Instance, row: number): Promise<void> {
    const version = (this.#rows[row] ?? 0) + 1;
    this.#rows[row] = version;
    const by = Math.random();
    const { spread } =
      by < 0.45
        ? await cache.delete(["row", row])
        : by < 0.9
          ? await cache.invalidate(`row:${row}`)
          : await cache.clear();
    if (spread) this.#safe[row] = Math.max(this.#safe[row] ?? 0, version);
  }
}

/** Several instances read and write at random until so many reads are done. */
async function run(
  instances: readonly Instance[],
  disturb: () => Promise<void> = () => sleep(50),
  isOver: (model: Model) => boolean = ({ reads }) => reads >= READS,
): Promise<Model> {
  const model = new Model();
  const pick = <T>(all: readonly T[]): T => all[Math.floor(Math.random() * all.length)] as T; // none is empty
  const rows = Array.from({ length: KEYS }, (_, i) => i);
  const worker = async (): Promise<void> => {
    while (!isOver(model)) {
      if (Math.random() < 0.15) await model.write(pick(instances), pick(rows));
      else await model.read(pick(instances), pick(rows));
    }
  };
  const disturbing = async (): Promise<void> => {
    while (!isOver(model)) await disturb();
  };
  await Promise.all([...Array.from({ length: 40 }, worker), disturbing()]);
  return model;
}

async function several(url: string, name: string, options: InstanceOptions): Promise<readonly Instance[]> {
  return Promise.all([1, 2, 3].map(() => instance(url, `model:${process.pid}:${name}`, options)));
}

/** Parts of the protocol, taken out: the model has to see that they are missing. */
const CONTROLS: Readonly<Record<string, (script: string) => string>> = {
  "a put that does not look for its lease": (script) =>
    script.replace("if l[1] ~= ARGV[1] and l[2] ~= ARGV[1] then return 0 end", ""),
  "a look that does not look at tags": (script) =>
    script.replace("if mark and tonumber(mark) > tonumber(e[2])", "if false"),
};

if (server.skip === false) {
  const { url } = server;
  const shared: InstanceOptions = { hasBus: false, remote: { localTtlMs: 0 } };

  t.test("no read gives what was void when it began, whoever made it void", async (t) => {
    const all = await several(url, "shared", shared);
    const model = await run(all);
    t.equal(model.stale, 0, `of ${model.reads}`);
    t.ok(
      all.some(({ manager }) => manager.stats().refusedWrites > 0),
      "late writes were refused",
    );
    for (const one of all) await one[Symbol.asyncDispose]();
  });

  t.test("nor when all marks are lost again and again", async (t) => {
    const all = await several(url, "marks", shared);
    const [first] = all;
    const model = await run(all, async () => {
      await first?.redis.client.del(`{model:${process.pid}:marks:cache:v1}m`);
      await sleep(50);
    });
    t.equal(model.stale, 0, `of ${model.reads}`);
    for (const one of all) await one[Symbol.asyncDispose]();
  });

  t.test("nor in the instance that made it void, with values in memory too", async (t) => {
    const names = [1, 2, 3].map((i) => `model:${process.pid}:own${i}`);
    const all = await Promise.all(names.map((name) => instance(url, name)));
    const models = await Promise.all(all.map((one) => run([one])));
    for (const model of models) t.equal(model.stale, 0, `of ${model.reads}`);
    for (const one of all) await one[Symbol.asyncDispose]();
  });

  for (const [name, change] of Object.entries(CONTROLS))
    t.test(`the model sees ${name}`, async (t) => {
      const all = await several(url, `control ${name.length}`.replace(" ", "-"), { ...shared, change });
      const model = await run(all, undefined, ({ reads, stale }) => stale > 0 || reads >= MOST_READS);
      t.ok(model.stale > 0, `${model.stale} stale of ${model.reads}`);
      for (const one of all) await one[Symbol.asyncDispose]();
    });
} else t.pass(server.skip, { skip: server.skip });

t.test("nothing stays open", async () => {
  await server[Symbol.asyncDispose]();
  await handles.assertNoLeaks();
});
