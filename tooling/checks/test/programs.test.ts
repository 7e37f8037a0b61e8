import { join } from "node:path";
import t from "tap";
import { readDiagnostics } from "../src/compiler.ts";
import { examplesOf, programsOf } from "../src/readme/programs.ts";
import { compare, expectationsOf } from "../src/types/expectations.ts";
import { repository, runIn, withCompiler } from "./repository.ts";

const fence = "```";

t.test("programs of a text", async (t) => {
  await t.test("every block of TypeScript is one, fragments are not", async (t) => {
    const text = `# x\n\n${fence}ts\nlet a = 1; // => 1\n${fence}\n${fence}sh\nls\n${fence}\n${fence}ts fragment\n...\n${fence}\n`;
    t.same(programsOf(text, "README.md"), [
      {
        at: "README.md:3",
        code: "let a = 1; // => 1\n",
        prints: ["1"],
        runs: true,
        needs: [],
        alone: false,
        inside: undefined,
      },
    ]);
  });
  await t.test("the words behind the language say what it needs and whether it runs", async (t) => {
    const [first] = programsOf(`${fence}ts no-run needs=redis,postgres\nx\n${fence}`, "x");
    t.match(first, { runs: false, needs: ["redis", "postgres"] });
  });
  await t.test("an example in a docstring is one, without the stars", async (t) => {
    const source = `const a = 1;\n/**\n * Words.\n * @example\n * ${fence}ts\n * f();\n * ${fence}\n */\n/** ${fence}ts\n * no\n */`;
    t.match(examplesOf(source, "src/a.ts"), [{ at: "src/a.ts:5", code: "f();\n" }]);
    t.equal(examplesOf(source, "src/a.ts").length, 1);
  });
});

t.test("the README runner", async (t) => {
  using place = repository();
  withCompiler(place);
  const run = (program: string) => {
    place.write("packages/core/README.md", `${fence}ts\n${program}\n${fence}\n`);
    return runIn(join(place.root, "packages/core"), "readme/main.js");
  };
  await t.test("passes a program that prints what it says", async (t) => {
    const { code, output } = run("console.log(1 + 1); // => 2");
    t.equal(code, 0, output);
    t.match(output, "1 programs compile, 1 of them run, 0 fail");
  });
  await t.test("fails one that prints something else", async (t) => {
    t.match(run("console.log(1 + 1); // => 3"), {
      code: 1,
      output: /README.md:1: says it prints\s+3\s+and printed\s+2/,
    });
  });
  await t.test("fails one that does not compile, with the line of the README", async (t) => {
    t.match(run('const a = 1;\nconst b: number = "x";'), { code: 1, output: /README.md:3: TS2322/ });
  });
  await t.test("fails one that throws", async (t) => {
    t.match(run('throw new Error("no");'), { code: 1, output: /README.md:1: ended with 1[\s\S]*Error: no/ });
  });
  await t.test(
    "takes folders, runs all programs in one process, and once more by itself each that failed there",
    async (t) => {
      const pid = "console.log(typeof process.pid === 'number', (globalThis as { seen?: number }).seen)";
      place.write(
        "packages/core/pages/a.md",
        `${fence}ts\nimport { writeSync } from "node:fs";\nwriteSync(1, "{}\\n");\nObject.assign(globalThis, { seen: 1 });\n${fence}\n`,
      );
      place.write("packages/core/pages/deep/b.md", `${fence}ts\n${pid}; // => true 1\n${fence}\n`);
      place.write(
        "packages/core/pages/deep/c.md",
        `${fence}ts\nconsole.log(1); // => 2\n${fence}\n${fence}ts\nthrow new Error("no");\n${fence}\n`,
      );
      place.write("packages/core/pages/deep/d.md", `${fence}ts alone\n${pid}; // => true undefined\n${fence}\n`);
      place.write("packages/core/pages/e.md", `${fence}ts in=other\nnot a program here\n${fence}\n`);
      const run = () => runIn(join(place.root, "packages/core"), "readme/main.js", "pages");
      const { code, output } = run();
      t.equal(code, 1);
      t.match(output, /c.md:1: says it prints\s+2\s+and printed\s+1/);
      t.match(output, /c.md:4: ended with 1[\s\S]*Error: no/);
      t.match(output, "5 programs compile, 5 of them run, 2 fail");
      place.write("packages/core/pages/deep/c.md", `${fence}ts\nprocess.exit(3);\n${fence}\n`);
      t.match(run(), { code: 1, output: /c.md:1: ended with 3/ });
      place.write("packages/core/pages/deep/c.md", `${fence}ts\nprocess.exit();\n${fence}\n`);
      t.match(run(), { code: 0, output: "4 programs compile, 4 of them run, 0 fail" }, "what comes after it runs too");
    },
  );
  await t.test("gives programs of a text its files, and a chapter those of the chapters before it", async (t) => {
    const chapter = (name: string, ...blocks: string[]): void =>
      place.write(`packages/core/book/${name}`, blocks.map((block) => `${fence}ts${block}\n${fence}\n`).join("\n"));
    const shows = '\nimport { a } from "./a.ts";\nimport { b } from "./b.ts";\nconsole.log(a, b);';
    chapter("1-first.md", " file=a.ts\nexport const a: number = 1;", " file=b.ts\nexport const b = 1;");
    chapter("2-second.md", " file=a.ts\nexport const a: number = 2;", `${shows} // => 2 1`);
    chapter("10-tenth.md", `${shows} // => 2 1`);
    const run = () => runIn(join(place.root, "packages/core"), "readme/main.js", "book");
    t.match(run(), { code: 0, output: /5 programs compile, 2 of them run, 0 fail/ });
    chapter("1-first.md", " file=a.ts\nexport const a: number = 1;", ' file=b.ts\nexport const b: number = "1";');
    t.match(run(), { code: 1, output: /1-first.md:6: TS2322/ });
  });
  await t.test("fails a README without a program", async (t) => {
    place.write("packages/core/README.md", "# core");
    t.match(runIn(join(place.root, "packages/core"), "readme/main.js"), { code: 1, output: /shows no program/ });
  });
});

t.test("announced type errors", async (t) => {
  const source = 'const a: number = "x"; // error: TS2322 not assignable\n// error: TS2304 Cannot find\n\nb();\n';
  const announced = expectationsOf("bad/a.ts", source);
  const got = [
    { file: "bad/a.ts", line: 1, code: "TS2322", text: "Type 'string' is not assignable to type 'number'." },
    { file: "bad/a.ts", line: 4, code: "TS2304", text: "Cannot find name 'b'." },
  ];
  await t.test("stand behind the code, or above it", async (t) => {
    t.same(
      announced.map(({ line, code }) => [line, code]),
      [
        [1, "TS2322"],
        [4, "TS2304"],
      ],
    );
    t.same(compare(announced, got), []);
  });
  await t.test("must all be reported, and nothing else", async (t) => {
    t.match(compare(announced, got.slice(1)).join(), /a.ts:1: expected TS2322 .* the line compiles/);
    t.match(compare(announced.slice(1), got).join(), /a.ts:1: unexpected TS2322/);
    const reworded = got.map((g) => ({ ...g, text: "other words" }));
    t.match(compare(announced, reworded).join("\n"), /expected TS2322 "not assignable", got TS2322 "other words"/);
  });
  await t.test("are read with their indented lines", async (t) => {
    const { diagnostics, other } = readDiagnostics(
      "/r/bad/a.ts(3,5): error TS1: one\n  two\nerror TS5: no file\n",
      "/r",
    );
    t.same(diagnostics, [{ file: "bad/a.ts", line: 3, code: "TS1", text: "one\ntwo" }]);
    t.equal(other, "error TS5: no file");
  });
});

t.test("the type harness", async (t) => {
  using place = repository({
    "packages/core/test/types/ok/a.ts": "export const a: number = 1;\n",
    "packages/core/test/types/bad/a.ts": 'export const a: number = "x"; // error: TS2322 not assignable\n',
  });
  withCompiler(place);
  const run = () => runIn(join(place.root, "packages/core"), "types/main.js");
  await t.test("passes when errors are as announced", async (t) => {
    t.match(run(), { code: 0, output: /1 files compile, 1 errors in 1 files are as announced/ });
  });
  await t.test("fails when an announced error is gone", async (t) => {
    place.write("packages/core/test/types/bad/a.ts", "export const a: number = 1; // error: TS2322 not assignable\n");
    t.match(run(), { code: 1, output: /bad\/a.ts:1: expected TS2322/ });
  });
  await t.test("fails when a good file does not compile", async (t) => {
    place.write("packages/core/test/types/ok/a.ts", 'export const a: number = "x";\n');
    t.match(run(), { code: 1, output: /ok\/a.ts:1: TS2322/ });
  });
  await t.test("fails when there is no fixture", async (t) => {
    place.remove("packages/core/test/types");
    t.match(run(), { code: 1, output: /holds no fixture/ });
  });
});
