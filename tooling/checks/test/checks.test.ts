import t from "tap";
import type { Check } from "../src/check.ts";
import { castReasons } from "../src/cast-reasons.ts";
import { dependencies } from "../src/dependencies.ts";
import { docstrings } from "../src/docstrings.ts";
import { driverShape } from "../src/driver-shape.ts";
import { errorCodes } from "../src/error-codes.ts";
import { faces } from "../src/faces.ts";
import { importDirection } from "../src/import-direction.ts";
import { layout } from "../src/layout.ts";
import { ownWords } from "../src/own-words.ts";
import { plainWords } from "../src/plain-words.ts";
import { installLines } from "../src/published/install-lines.ts";
import { published } from "../src/published/check.ts";
import { readWorkspace } from "../src/workspace.ts";
import { repository } from "./repository.ts";

const checks: readonly Check[] = [
  importDirection,
  dependencies,
  driverShape,
  layout,
  errorCodes,
  docstrings,
  faces,
  ownWords,
  plainWords,
];

function problems(check: Check, changes: Readonly<Record<string, string>>, removed: readonly string[] = []): string {
  using place = repository(changes);
  for (const path of removed) place.remove(path);
  return check.run(readWorkspace(place.root)).problems.join("\n");
}

const manager = `import { Redis } from "ioredis";
import { fail } from "@steward/core";
/** Looks after Redis connections. */
export class RedisPoolManager {
  /** Starts. */
  start(): void { new Redis(); fail(); throw new RedisError("REDIS_GONE", ""); }
  /** Stops. */
  stop(): void {}
  /** Counts. */
  stats(): void {}
}
`;

t.test("a repository that keeps the rules passes every check, and each says how much it saw", async (t) => {
  using place = repository();
  for (const { name, run } of checks) {
    const { saw, problems: found } = run(readWorkspace(place.root));
    t.same(found, [], name);
    t.match(saw, /[1-9]/, name);
  }
});

t.test("a check that finds nothing to look at fails", async (t) => {
  using place = repository();
  place.remove("packages");
  for (const { name, run } of checks.filter((c) => c !== ownWords)) {
    t.match(run(readWorkspace(place.root)).problems.join(), /saw no/, name);
  }
});

t.test("faces and their readers", async (t) => {
  const index = (text: string, more: Readonly<Record<string, string>> = {}) =>
    problems(faces, { "packages/core/src/index.ts": text, ...more });
  const unused = 'export { CORE_CODES, fail } from "./errors.ts";\nexport { more, type Less } from "./more.ts";\n';
  const own = { "packages/core/test/more.test.ts": 'import { more } from "@steward/core";\nmore();\n' };
  t.match(index(unused, own), /^packages\/core\/src\/index.ts:2: @steward\/core exports more, which nothing outside/);
  t.notMatch(index(unused), /Less/, "types are used by what has them");
  const readme = '# core\n\n```ts\nimport { more } from "@steward/core";\n```\n';
  t.equal(index(unused, { "packages/core/README.md": readme }), "", "a program of a README is a reader");
  t.equal(index(unused, { "packages/core/REFERENCE.md": readme }), "", "and so is one of a reference");
  const all = 'import * as core from "@steward/core";\nconsole.log(core.more);\n';
  t.equal(index(unused, { "packages/redis/src/extra.ts": all }), "");
  const app = {
    "apps/one/package.json": JSON.stringify({ name: "@steward/one" }),
    "apps/one/src/main.ts": 'import { specOf } from "@steward/core/container";\nspecOf();\n',
  };
  t.match(problems(faces, app), /main.ts:1: @steward\/core\/container is not for @steward\/one/);
});

t.test("layout of sources", async (t) => {
  const one = (text: string, path = "packages/core/src/extra.ts") => problems(layout, { [path]: text });
  t.match(
    one('export * from "./extra.ts";\n'),
    /import one another: packages\/core\/src\/extra.ts -> packages\/core\/src\/extra.ts/,
  );
  t.match(
    problems(layout, {
      "packages/core/src/a.ts": 'import type { B } from "./deep/b.ts";\nexport type A = B;\n',
      "packages/core/src/deep/b.ts": 'import type { C } from "../c.ts";\nexport type B = C;\n',
      "packages/core/src/c.ts": 'import type { A } from "./a.ts";\nexport type C = A;\n',
    }),
    /^these files import one another: \S+a.ts -> \S+b.ts -> \S+c.ts -> \S+a.ts$/,
  );
  t.match(one("\n".repeat(381)), /extra.ts: 381 lines, at most 380/);
  t.match(one(`class A {\n${"  a(): void {}\n".repeat(300)}}\n`), /a class of 302 lines, at most 300/);
  const many = Object.fromEntries(
    Array.from({ length: 15 }, (_, i) => [`packages/core/src/all/f${i}.ts`, "export {};\n"]),
  );
  t.match(problems(layout, many), /packages\/core\/src\/all: 15 files, at most 14/);
  t.match(one("\n".repeat(500), "packages/redis/src/extra.ts"), /500 lines/, "every package");
});

t.test("reasons for casts", async (t) => {
  const one = (text: string) => problems(castReasons, { "packages/core/src/extra.ts": text });
  t.match(
    one("export const a = b as unknown as string;\n"),
    /^packages\/core\/src\/extra.ts:1: a cast over unknown without/,
  );
  t.equal(one("export const a = b as unknown as string; // b holds only text\n"), "", "a comment behind it");
  t.equal(one("// It holds only text.\nexport const a = b as unknown as string;\n"), "", "a comment above it");
  t.equal(one("export const a = b as string;\n"), "", "what the compiler can follow");
  t.match(one("export function f(a: any): void {}\n"), /extra.ts:1: any without a reason/);
  t.equal(one('// As any of "a" as any.\nexport const a = "as unknown as any";\n'), "", "words in text");
  t.match(one("// @ts-expect-error\nf();\n"), /extra.ts:1: a check turned off without/);
  t.equal(one("// @ts-expect-error the library forgot it\nf();\n"), "");
  t.match(one("// oxlint-disable-next-line no-console\nf();\n"), /a check turned off without/);
  t.equal(one("// oxlint-disable-next-line no-console -- a program prints\nf();\n"), "");
});

t.test("plain words", async (t) => {
  const one = (text: string, path = "packages/core/src/extra.ts") => problems(plainWords, { [path]: text });
  t.equal(one("/** Told to whoever asks. */\nexport {};\n").split("\n").length, 2);
  t.match(one("\n// The numbers of now.\n"), /^packages\/core\/src\/extra.ts:2: "of now" is no plain word: current$/);
  for (const page of ["README.md", "REFERENCE.md"])
    t.match(one("It shall end.\n", `packages/core/${page}`), new RegExp(`packages/core/${page}:1: "shall"`));
  t.equal(one("/** A teller retold it; pacemaker, of nowhere, full-told. */\n"), "", "whole words alone");
  t.match(one("// told\n", "packages/redis/src/extra.ts"), /told/, "every package");
});

t.test("import direction", async (t) => {
  const from = (text: string, path = "packages/core/src/extra.ts") => problems(importDirection, { [path]: text });
  await t.test("core may not import a driver, in whichever form", async (t) => {
    for (const form of [
      'import { x } from "@steward/redis";',
      'export { x } from "@steward/redis";',
      'import type { X } from "@steward/redis";',
      'const x = await import("@steward/redis");',
      'type X = import("@steward/redis").X;',
      'const x = require("@steward/redis");',
    ]) {
      t.match(from(form), /core\/src\/extra.ts:1: @steward\/core may not import @steward\/redis/, form);
    }
  });
  await t.test("a driver may import core alone", async (t) => {
    t.equal(from('import { x } from "@steward/core";', "packages/redis/src/x.ts"), "");
    const container = {
      "packages/container/package.json": '{"name":"@steward/container","exports":{".":"./dist/index.js"}}',
    };
    const text = 'import { x } from "@steward/container";';
    t.match(problems(importDirection, { ...container, "packages/redis/src/x.ts": text }), /may not import/);
    t.equal(problems(importDirection, { ...container, "packages/redis/test/x.test.ts": text }), "");
  });
  await t.test("deep imports are refused", async (t) => {
    t.match(from('import { x } from "@steward/core/dist/errors.js";', "packages/redis/src/x.ts"), /deep import/);
    t.match(from('import { x } from "../../core/src/errors.ts";', "packages/redis/src/x.ts"), /leaves the package/);
    t.match(from('import { x } from "../test/core.test.ts";'), /leaves src/);
  });
  await t.test(
    "only tests and src/testing.ts import testing and launchers; an app may launch its servers",
    async (t) => {
      const testing = {
        "packages/testing/package.json": '{"name":"@steward/testing","exports":{".":"./dist/index.js"}}',
        "packages/launchers/package.json": '{"name":"@steward/launchers","exports":{".":"./dist/index.js"}}',
        "apps/clips/package.json": '{"name":"@steward/clips"}',
      };
      const imports = (path: string, what: string) =>
        problems(importDirection, { ...testing, [path]: `import { x } from "${what}";` });
      t.match(imports("packages/redis/src/x.ts", "@steward/testing"), /may not import/);
      t.match(imports("packages/redis/src/x.ts", "@steward/launchers"), /may not import/);
      t.equal(imports("packages/redis/src/testing.ts", "@steward/launchers"), "");
      t.equal(imports("packages/redis/test/x.test.ts", "@steward/testing"), "");
      t.match(imports("apps/clips/src/main.ts", "@steward/testing"), /may not import/);
      t.equal(imports("apps/clips/src/main.ts", "@steward/launchers"), "");
      t.match(imports("packages/core/test/x.test.ts", "@steward/testing"), /may not import/);
    },
  );
});

t.test("dependencies", async (t) => {
  const manifest = (extra: object) => ({
    "packages/core/package.json": JSON.stringify({
      name: "@steward/core",
      dependencies: { valibot: "catalog:" },
      devDependencies: { tap: "workspace:@steward/tap@*" },
      ...extra,
    }),
  });
  await t.test("an import without a declaration is found", async (t) => {
    t.match(
      problems(dependencies, { "packages/core/src/x.ts": 'import y from "yaml";' }),
      /core imports yaml, which is not in/,
    );
    t.match(
      problems(dependencies, { "packages/core/src/x.ts": 'import t from "tap";' }),
      /core imports tap/,
      "a devDependency in src",
    );
    t.match(problems(dependencies, { "packages/core/src/x.ts": 'import "fs";' }), /write "node:fs"/);
    t.notMatch(problems(dependencies, { "packages/core/src/x.ts": 'import "node:test";' }), /write/);
  });
  await t.test("a declaration without an import is found", async (t) => {
    t.match(
      problems(dependencies, manifest({ dependencies: { valibot: "catalog:", yaml: "catalog:" } })),
      /declares yaml, but no source/,
    );
    t.match(problems(dependencies, manifest({ devDependencies: { yaml: "catalog:" } })), /declares yaml, but nothing/);
    const program = { "packages/core/README.md": '```ts\nimport { parse } from "yaml";\n```\n' };
    t.notMatch(
      problems(dependencies, { ...manifest({ devDependencies: { yaml: "catalog:" } }), ...program }),
      /yaml/,
      "a program of the README needs it",
    );
    t.match(
      problems(dependencies, manifest({ optionalDependencies: { "@x/y": "catalog:" } })),
      /declares @x\/y, but no source/,
    );
  });
  await t.test("the peers of a package of ours are declared by who uses it, and by nobody else", async (t) => {
    const app = (used: Record<string, string>) => ({
      "apps/clips/package.json": JSON.stringify({
        name: "@steward/clips",
        dependencies: { ioredis: "catalog:", ...used },
      }),
      "apps/clips/src/main.ts": Object.keys(used)
        .map((name) => `import "${name}";`)
        .join(""),
    });
    t.notMatch(problems(dependencies, app({ "@steward/redis": "workspace:^" })), /declares ioredis/);
    t.match(problems(dependencies, app({})), /@steward\/clips declares ioredis, but no source/);
  });
  await t.test("a version outside the catalog and a peer that tests cannot load are found", async (t) => {
    t.match(
      problems(dependencies, manifest({ dependencies: { valibot: "^1.0.0" } })),
      /valibot is "\^1.0.0", not "catalog:"/,
    );
    t.match(
      problems(dependencies, manifest({ devDependencies: { tap: "catalog:" } })),
      /tap is "catalog:", not "workspace:@steward\/tap@\*"/,
    );
    t.match(
      problems(dependencies, manifest({ peerDependencies: { ioredis: "^6" } })),
      /peer ioredis, which its tests cannot load/,
    );
    const optional = { peerDependencies: { ioredis: "^6" }, peerDependenciesMeta: { ioredis: { optional: true } } };
    t.notMatch(problems(dependencies, manifest(optional)), /peer ioredis, which its tests cannot load/);
  });
});

t.test("the shape of drivers", async (t) => {
  for (const file of ["src/options.ts", "src/health.ts", "src/testing.ts", "test/contract.test.ts", "README.md"]) {
    await t.test(`a driver without ${file} is found`, async (t) => {
      t.match(problems(driverShape, {}, [`packages/redis/${file}`]), `@steward/redis has no ${file}`);
    });
  }
  await t.test("a fifth concept file is one too many", async (t) => {
    const extra = Object.fromEntries(["a", "b", "c", "d", "e"].map((n) => [`packages/redis/src/${n}.ts`, ""]));
    t.match(problems(driverShape, extra), /5 concept files, at most 4: a, b, c, d, e/);
  });
  await t.test("a manager without stats is found", async (t) => {
    const text = manager.replace("stats", "numbers");
    t.match(problems(driverShape, { "packages/redis/src/manager.ts": text }), /RedisPoolManager has no stats/);
  });
  await t.test("a missing section and a missing subpath are found", async (t) => {
    t.match(problems(driverShape, { "packages/redis/README.md": "## Install" }), /no section "## Options"/);
    t.match(
      problems(driverShape, { "packages/redis/package.json": '{"name":"@steward/redis"}' }),
      /does not export ".\/testing"/,
    );
  });
  await t.test("a package that exports nothing yet is named as a stub", async (t) => {
    using place = repository({
      "packages/grpc/package.json": '{"name":"@steward/grpc"}',
      "packages/grpc/src/index.ts": "export {};",
    });
    const { saw, problems: found } = driverShape.run(readWorkspace(place.root));
    t.match(saw, "1 driver: redis; 1 stub: grpc");
    t.same(found, []);
  });
});

t.test("error codes", async (t) => {
  await t.test("a code that no test shows is found", async (t) => {
    t.match(
      problems(errorCodes, { "packages/redis/test/contract.test.ts": "" }),
      "@steward/redis: no test shows REDIS_GONE",
    );
  });
  await t.test("a code that the README does not explain, or explains without need, is found", async (t) => {
    t.match(
      problems(errorCodes, { "packages/redis/README.md": "## Errors\n\nnone\n" }),
      "README.md does not explain REDIS_GONE",
    );
    t.match(
      problems(errorCodes, { "packages/core/README.md": "## Errors\n`OPTIONS_INVALID` `REDIS_GONE`\n" }),
      /explains REDIS_GONE/,
    );
    t.match(
      problems(errorCodes, { "packages/core/README.md": "## Errors\n\n## Other\n`OPTIONS_INVALID`\n" }),
      /does not explain OPTIONS/,
    );
  });
  await t.test("a code that is declared and never raised, or raised and never declared, is found", async (t) => {
    const quiet = { "packages/redis/src/manager.ts": manager.replace("REDIS_GONE", "REDIS_AWAY") };
    t.match(problems(errorCodes, quiet), "REDIS_GONE is declared, but no source raises it");
    t.match(problems(errorCodes, quiet), "raises REDIS_AWAY, which no package declares");
    t.match(
      problems(errorCodes, { "packages/core/src/x.ts": "/** @throws {NO_SUCH_CODE} */" }),
      /@throws NO_SUCH_CODE/,
    );
  });
  await t.test("codes without a table, without words, of another shape or declared twice are found", async (t) => {
    const file = "packages/redis/src/errors.ts";
    t.match(problems(errorCodes, { [file]: "" }), /does not export "const REDIS_CODES/);
    t.match(
      problems(errorCodes, { [file]: 'export const REDIS_CODES = { REDIS_GONE: "" } as const;' }),
      /needs one line/,
    );
    t.match(
      problems(errorCodes, { [file]: 'export const REDIS_CODES = { redisGone: "x" } as const;' }),
      /not an UPPER_SNAKE/,
    );
    t.match(
      problems(errorCodes, { [file]: 'export const REDIS_CODES = { OPTIONS_INVALID: "x" } as const;' }),
      /declared by @steward\/core and/,
    );
  });
});

t.test("docstrings", async (t) => {
  await t.test("an export, a method or an option without words is found", async (t) => {
    const file = "packages/redis/src/manager.ts";
    t.match(
      problems(docstrings, { [file]: manager.replace("/** Looks after Redis connections. */", "") }),
      /:4: RedisPoolManager has no docstring/,
    );
    t.match(
      problems(docstrings, { [file]: manager.replace("/** Stops. */", "/** */") }),
      /RedisPoolManager.stop has no docstring/,
    );
    const options = "/** Options. */\nexport interface RedisOptions { url: string }\n";
    const index = 'export type { RedisOptions } from "./options.ts";\n';
    const changed = { "packages/redis/src/options.ts": options, "packages/redis/src/index.ts": index };
    t.match(problems(docstrings, changed), /RedisOptions.url has no docstring/);
  });
  await t.test("a method needs no words where the interface it implements has them", async (t) => {
    const iface = "/** A thing to stop. */\nexport interface Stops {\n  /** Stops. */\n  stop(): void;\n}\n";
    const text = manager
      .replace("/** Stops. */", "")
      .replace("RedisPoolManager {", "RedisPoolManager implements Stops {");
    const changed = { "packages/redis/src/options.ts": iface, "packages/redis/src/manager.ts": text };
    t.equal(problems(docstrings, changed), "");
    t.match(problems(docstrings, { ...changed, "packages/redis/src/options.ts": "" }), /RedisPoolManager.stop has no/);
  });
  await t.test("an index that holds code or a star is found", async (t) => {
    const index = (text: string) => problems(docstrings, { "packages/redis/src/index.ts": text });
    t.match(index('export * from "./manager.ts";'), /an index only re-exports, by name/);
    t.match(index('import { x } from "./x.ts";\nexport { y } from "./manager.ts";'), /an index only re-exports/);
    t.match(index('export { nothing } from "./manager.ts";'), /cannot find the declaration of nothing/);
  });
});

t.test("the repository's own words", async (t) => {
  // Written in parts, so that this file does not trip the check itself.
  const planted: Readonly<Record<string, string>> = {
    registry: ["https://registry.", "example.com/x"].join(""),
    machine: ["/ro", "ot/steward/x"].join(""),
    home: ["/home/", "ann/code"].join(""),
  };
  for (const [what, text] of Object.entries(planted)) {
    await t.test(`a ${what} is found`, async (t) => {
      t.match(problems(ownWords, { "docs.txt": `one\n${text}\n` }), /docs.txt:2: /);
    });
  }
  await t.test("the path of the clone itself is found", async (t) => {
    using place = repository();
    place.write("docs.txt", `cd ${place.root} && ls`);
    t.match(ownWords.run(readWorkspace(place.root)).problems.join(), /is the path of this clone/);
  });
  await t.test("a host in the lock file is found", async (t) => {
    t.match(problems(ownWords, { "pnpm-lock.yaml": "tarball: https://example.com/x.tgz" }), /names a host/);
  });
});

t.test("metadata of published packages", async (t) => {
  const root = {
    author: "The authors",
    license: "Apache-2.0",
    repository: { type: "git", url: "git+https://github.com/OWNER/one.git" },
    engines: { node: ">=20.19" },
  };
  const good = {
    name: "@steward/core",
    version: "1.0.0",
    description: "What a resource is, and more.",
    keywords: ["a", "b", "c"],
    homepage: "https://github.com/OWNER/one/tree/main/packages/core#readme",
    bugs: { url: "https://github.com/OWNER/one/issues" },
    ...root,
    repository: { ...root.repository, directory: "packages/core" },
    files: ["dist", "README.md", "CHANGELOG.md"],
    type: "module",
    sideEffects: false,
    exports: { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" }, "./package.json": "./package.json" },
    publishConfig: { access: "public", provenance: true },
  };
  const one = (changes: object, top: object = root) =>
    problems(
      published,
      { "package.json": JSON.stringify(top), "packages/core/package.json": JSON.stringify({ ...good, ...changes }) },
      ["packages/redis"],
    );
  t.equal(one({}), "");
  for (const name of ["homepage", "bugs", "license", "author", "repository", "publishConfig", "engines"])
    t.match(one({ [name]: undefined }), new RegExp(`core: ${name} is not what the root`));
  t.match(one({ repository: root.repository }), /repository is not what/, "provenance asks for the folder");
  t.match(one({ description: "" }), /has no description/);
  t.match(one({ keywords: ["a", "a", "b"] }), /3 different keywords/);
  t.match(one({ files: ["dist", "README.md"] }), /files does not list CHANGELOG.md/);
  t.match(one({ sideEffects: undefined }), /sideEffects: false/);
  t.match(one({ type: "commonjs" }), /type is not module/);
  t.match(one({ exports: undefined }), /neither exports nor bin/);
  t.match(one({ exports: { ".": { default: "./x.js", types: "./x.d.ts" } } }), /"\." does not say types, then default/);
  t.match(one({ exports: {} }), /does not list ".\/package.json"/);
  t.match(one({}, { ...root, repository: undefined }), /package.json of the root has no repository/);
  const other = {
    "packages/other/package.json": JSON.stringify({ ...good, name: "@steward/other", version: "2.0.0" }),
  };
  t.match(
    problems(published, { "packages/core/package.json": JSON.stringify(good), ...other }),
    /packages have one version, and these do not/,
  );
});

t.test("install lines of READMEs", async (t) => {
  const one = (line: string, program: string) =>
    problems(installLines, {
      "packages/redis/README.md": `# redis\n\n## Install\n\n${line}\n\n\`\`\`ts\n${program}\n\`\`\`\n`,
    });
  const program = 'import { a } from "@steward/redis/testing";\nimport { join } from "node:path";\nimport "ioredis";';
  t.equal(one("`A=1 npm install --save-dev @steward/redis ioredis`", program), "");
  t.match(one("`npm install @steward/redis`", program), /redis: README.md:7 imports ioredis, which it does not say/);
  const line = "`npm install @steward/redis ioredis`";
  const later = (words: string) => `${program}\n\`\`\`\n\n${words}\n\n\`\`\`ts\nimport { c } from "kysely";`;
  t.match(one(line, later("With Kysely:")), /redis: README.md:15 imports kysely, which it does not say/);
  t.equal(one(line, later("With Kysely (`npm install kysely@0.28`):")), "");
  t.match(
    one(`${line}, or \`npm install pg\``, 'import pg from "pg";'),
    /imports pg/,
    "the first needs the first line",
  );
  t.match(one("Install it.", program), /has no "npm install" below/);
});
