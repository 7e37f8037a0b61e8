import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "@steward/testing";
import t from "tap";
import { jsonFile, secretFiles, source, yamlFile } from "../../src/index.ts";
import { clips, DATABASE_URL } from "../clips.ts";
import { Folder } from "../folder.ts";

const text = (maxConnections: number) => `database:\n  url: ${DATABASE_URL}\n  maxConnections: ${maxConnections}\n`;
const FAST = { debounceMs: 20, pollMs: 2_000_000 };

t.test("the swap of ..data, as Kubernetes does it, is seen by events alone", async (t) => {
  using folder = new Folder();
  const version = (name: string, size: number): void => {
    mkdirSync(folder.at(name));
    writeFileSync(join(folder.at(name), "app.yaml"), text(size));
    symlinkSync(name, folder.at("..data_tmp"));
    renameSync(folder.at("..data_tmp"), folder.at("..data"));
  };
  version("..2026_1", 1);
  symlinkSync("..data/app.yaml", folder.at("app.yaml"));
  await using manager = await clips([yamlFile(folder.at("app.yaml"))], { watch: FAST }).start();
  for (const size of [2, 3, 4]) {
    version(`..2026_${size}`, size);
    rmSync(folder.at(`..2026_${size - 1}`), { recursive: true });
    await until(() => manager.client.database.maxConnections === size);
  }
  t.equal(manager.stats().refused, 0);
});

t.test(
  "a file that an editor puts in the place of the old one, one that is written, and a folder of secrets",
  async (t) => {
    using folder = new Folder({
      "app.json": '{ "database": { "maxConnections": 1 } }',
      "s/database.url": DATABASE_URL,
    });
    const sources = [jsonFile(folder.at("app.json")), secretFiles(folder.at("s"))];
    await using manager = await clips(sources, { watch: FAST }).start();
    folder.write("app.json.tmp", '{ "database": { "maxConnections": 2 } }');
    renameSync(folder.at("app.json.tmp"), folder.at("app.json"));
    await until(() => manager.client.database.maxConnections === 2);
    folder.write("app.json", '{ "database": { "maxConnections": 3 } }');
    await until(() => manager.client.database.maxConnections === 3);
    folder.write("s/logLevel", "debug");
    await until(() => manager.client.logLevel === "debug");
    folder.write("s/logLevel", "error"); // in its place, which leaves the folder as it was
    await until(() => manager.client.logLevel === "error");
    t.equal(manager.client.database.url.reveal(), DATABASE_URL);
  },
);

t.test("a change between the reading and the watching is seen", async (t) => {
  using folder = new Folder({ "app.yaml": text(1) });
  const slow = source("slow", {
    read: async () => {
      await until(() => readFileSync(folder.at("app.yaml"), "utf8") === text(2), "the file has changed");
      return {};
    },
  });
  const sources = [yamlFile(folder.at("app.yaml")), slow];
  const starting = clips(sources, { watch: FAST }).start();
  setTimeout(() => folder.write("app.yaml", text(2)), 50); // by then the file is read
  await using manager = await starting;
  await until(() => manager.client.database.maxConnections === 2);
  t.ok(manager);
});

t.test("a broken file keeps the old settings, and the next right one comes in use", async (t) => {
  using folder = new Folder({ "app.yaml": text(1) });
  await using manager = await clips([yamlFile(folder.at("app.yaml"))], { watch: FAST }).start();
  folder.write("app.yaml", "database: [\n");
  await until(() => manager.trouble !== undefined);
  t.match(manager.trouble?.reason, /generation 1 stays in use: .*app\.yaml:2:1/s);
  t.equal(manager.client.database.maxConnections, 1);
  folder.write("app.yaml", text(2));
  await until(() => manager.client.database.maxConnections === 2);
  t.equal(manager.trouble, undefined);
});
