import { mkdirSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import { repository, runIn, type Repository } from "./repository.ts";

const home = resolve(import.meta.dirname, "../..");

/** A consumer of one package, `@steward/thing`, which itself depends on `@steward/inner`. */
function consumer(): Repository & { readonly directory: string } {
  const place = repository({
    "packages/inner/package.json": '{"name":"@steward/inner","version":"1.0.0","type":"module","exports":"./index.js"}',
    "packages/inner/index.js": "export const inner = 1;",
    "packages/inner/index.d.ts": "export interface Inner { readonly depth: number }\nexport declare const inner: 1;",
    "packages/thing/package.json":
      '{"name":"@steward/thing","version":"1.0.0","type":"module","exports":"./index.js","dependencies":{"@steward/inner":"workspace:^"}}',
    "packages/thing/index.js": 'import "@steward/inner";\nexport const make = (value) => ({ value });',
    "packages/thing/index.d.ts": "export declare function make<T>(value: T): { value: T };",
    "tooling/consumer/package.json":
      '{"name":"consumer","dependencies":{"@steward/thing":"workspace:^"},"devDependencies":{"@types/node":"catalog:"}}',
    "tooling/consumer/src/a.ts": 'import { make } from "@steward/thing";\nexport const thing = make(1);\n',
    "tooling/consumer/use/b.ts": 'import { thing } from "../out/a.js";\nexport const n: number = thing.value;\n',
    "pnpm-workspace.yaml": "packages: [packages/*, tooling/*]\n",
    "package.json": '{"name":"root"}',
  });
  const link = (path: string, target: string) => {
    mkdirSync(join(place.root, path, ".."), { recursive: true });
    symlinkSync(target, join(place.root, path));
  };
  link("node_modules/.bin", join(home, "../../node_modules/.bin"));
  link("tooling/consumer/node_modules/typescript", join(home, "node_modules/typescript"));
  link("tooling/consumer/node_modules/@types/node", join(home, "node_modules/@types/node"));
  link("tooling/consumer/node_modules/@steward/thing", join(place.root, "packages/thing"));
  link("packages/thing/node_modules/@steward/inner", join(place.root, "packages/inner"));
  return { ...place, directory: join(place.root, "tooling/consumer") };
}

t.test("a consumer compiles against packed packages, and its declarations keep their types", async (t) => {
  using place = consumer();
  const { code, output } = runIn(place.directory, "consumer/main.js");
  t.equal(code, 0, output);
  t.match(output, /consumer: 1 definitions against @steward\/thing, @steward\/inner: \d+ bytes/);
});

t.test("a type of a package that is not declared is found", async (t) => {
  using place = consumer();
  place.write(
    "packages/thing/index.d.ts",
    'import type { X } from "typescript-js";\nexport declare function make<T>(value: T): { value: T; x: X };',
  );
  t.match(runIn(place.directory, "consumer/main.js"), {
    code: 1,
    output: /TS2307: Cannot find module 'typescript-js'/,
  });
});

t.test("a type that the consumer cannot name is found", async (t) => {
  using place = consumer();
  place.write(
    "packages/thing/index.d.ts",
    'import type { Inner } from "@steward/inner";\nexport declare function make<T>(value: T): Inner & { value: T };',
  );
  t.match(runIn(place.directory, "consumer/main.js"), {
    code: 1,
    output: /src\/a.ts:2: TS\d+: The inferred type of 'thing' cannot be named/,
  });
});

t.test("a type that got lost is found", async (t) => {
  using place = consumer();
  place.write("packages/thing/index.d.ts", "export declare function make<T>(value: T): any;");
  t.match(runIn(place.directory, "consumer/main.js"), { code: 1, output: /lost its type to any/ });
});

t.test("a package that does not load is found", async (t) => {
  using place = consumer();
  place.write("packages/thing/index.js", 'import "typescript-js";');
  t.match(runIn(place.directory, "consumer/main.js"), { code: 1, output: /@steward\/thing does not load/ });
});
