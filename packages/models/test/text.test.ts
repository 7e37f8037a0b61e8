import t from "tap";
import { ModelManager, type Compute, type Tensor } from "../src/index.ts";

const engine = import.meta.resolve("@steward/onnx");

/** A field of protobuf that holds bytes, or a number below 128. */
const field = (id: number, ...parts: readonly (string | Buffer | number)[]): Buffer => {
  const [first] = parts;
  if (typeof first === "number") return Buffer.of(id << 3, first);
  const content = Buffer.concat(parts.map((part) => Buffer.from(part as Buffer)));
  return Buffer.concat([Buffer.of((id << 3) | 2, content.length), content]);
};

/** An ONNX file that gives back its texts: one node, Identity, on elements of type 8. */
function textFile(): Buffer {
  const info = (name: string): Buffer =>
    Buffer.concat([
      field(1, name),
      field(2, field(1, field(1, 8), field(2, field(1, field(2, "n")), field(1, field(1, 1))))),
    ]);
  const node = field(1, field(1, "words"), field(2, "same"), field(4, "Identity"));
  const graph = field(7, node, field(2, "g"), field(11, info("words")), field(12, info("same")));
  return Buffer.concat([field(1, 8), field(8, field(2, 13)), graph]);
}

/** Upper case, row by row; counts its runs. */
function shouting(runs: number[]): Compute {
  const words = { name: "words", type: "string", shape: ["n", 1] };
  return {
    inputs: [words, { name: "language", type: "string", shape: [1] }],
    outputs: [{ ...words, name: "loud" }],
    run: ({ words, language }) => {
      const { shape, data } = words as Tensor;
      runs.push(shape[0] ?? 0);
      return {
        loud: {
          type: "string",
          shape,
          data: Array.from(data as readonly string[], (each) => `${each.toUpperCase()} ${language?.data[0]}`),
        },
      };
    },
  };
}

t.test("texts go through the engine", async (t) => {
  const golden = [{ input: { words: ["ä"] }, output: { same: ["ä"] } }];
  await using manager = await new ModelManager({ source: { bytes: textFile() }, engine, golden }).start();
  t.same(manager.client.inputs, [{ name: "words", type: "string", shape: ["n", 1] }]);
  const { same } = await manager.client.run({ words: ["", "größer", "x".repeat(100_000)] });
  t.same(same, { type: "string", shape: [3, 1], data: ["", "größer", "x".repeat(100_000)] });
  const other = new ModelManager({
    source: { bytes: textFile() },
    engine,
    golden: [{ ...golden[0], output: { same: ["a"] } }],
  } as never);
  await t.rejects(other.start(), { code: "MODEL_GOLDEN_MISMATCH" });
});

t.test("texts of several callers are one batch, and each gets its own", async (t) => {
  const runs: number[] = [];
  await using manager = await new ModelManager({ compute: shouting(runs), workers: 1 }).start();
  runs.length = 0;
  const { client } = manager;
  const asked = [["a"], ["b", "c"], ["d"]];
  const given = (language: string) => asked.map((words) => client.run({ words, language: [language] }));
  const results = await Promise.all([...given("en"), ...given('e",n'), client.run({ words: ["z"], language: ["en"] })]);
  t.same(results.map(({ loud }) => loud?.data).slice(0, 4), [["A en"], ["B en", "C en"], ["D en"], ['A e",n']]);
  t.ok(runs.length < 7, `${runs}: some ran together`);
  const words = ["a"];
  const pending = client.run({ words, language: ["en"] });
  words[0] = "changed";
  t.same((await pending)["loud"]?.data, ["A en"], "what was given is the caller's again");
  for (const wrong of [[1], "a", new Float32Array(1), [undefined]])
    await t.rejects(client.run({ words: wrong as never, language: ["en"] }), { code: "MODEL_INPUT_INVALID" });
});
