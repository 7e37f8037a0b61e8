import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const own = (file) => readFileSync(join(import.meta.dirname, file), "utf8");

/** From the first of two texts up to the second, which stays as it is. */
const between = (from, to) => [from, to];

/**
 * What a contributor writes after `npm run new s3` for a storage like S3: client, remote for its tests, options and errors
 * of its own. Each is one piece of text: `[file, where, text]`, and where there is no `where` the whole file.
 */
export const edits = [
  ["src/connection.ts", undefined, own("connection.ts")],
  ["src/testing/remote.ts", undefined, own("remote.ts")],
  ["src/client.ts", undefined, own("client.ts")],
  [
    "src/options.ts",
    between("  /** Such as `tcp:", "/** Options of a s3"),
    `  /** Such as \`https://storage.example.com\`. */
  readonly url: string;
  readonly bucket: string;
  readonly accessKey: string;
  /** Signs requests, and is never sent. */
  readonly secretKey: string;
}

const endpoint = {
  url: v.pipe(v.string(), v.url()),
  bucket: v.pipe(v.string(), v.regex(/^[a-z0-9.-]+$/)),
  accessKey: v.string(),
  secretKey: v.string(),
};

`,
  ],
  [
    "src/errors.ts",
    between("  S3_REFUSED:", "} as const"),
    `  S3_NOT_FOUND: "The bucket has no object under this key.",
  S3_REFUSED: "The storage refused what it was asked.",
`,
  ],
  [
    "test/contract.test.ts",
    between("const ask = ", "const remote"),
    `const ask = (client: S3Client): Promise<void> => client.put("hello", Buffer.from("hi"));
const askWrong = (client: S3Client): Promise<void> => client.put("", Buffer.from("hi"));

t.test("what is stored is found and listed until it is removed", async (t) => {
  await using storage = await s3ForTests();
  await using manager = await storage.manager.start();
  const { client } = manager;
  await client.put("a/ä", Buffer.from("hi"));
  t.equal(String(await client.get("a/ä")), "hi");
  t.same([await client.list("a/"), await client.list("b/")], [["a/ä"], []]);
  await client.delete("a/ä");
  t.match(await failure(client.get("a/ä")), { code: "S3_NOT_FOUND" });
});

`,
  ],
  [
    "README.md",
    between("A s3, looked", "```\n\n## Install"),
    `A storage like S3 that does not hold up who uses it: one deadline for each call, a bounded queue, and a stop that ends.

\`\`\`ts
import { S3Manager } from "@steward/s3";
import { s3ForTests } from "@steward/s3/testing";

await using remote = await s3ForTests();
await using things = await new S3Manager({ ...remote.endpoint, timeoutMs: 1_000 }).start();
await things.client.put("hello", Buffer.from("hi"));
console.log(String(await things.client.get("hello"))); // => hi
`,
  ],
  [
    "README.md",
    between("| `url`", "| `timeoutMs`"),
    `| \`url\`, \`bucket\` | | where the storage is, and what calls are about |
| \`accessKey\`, \`secretKey\` | | who asks; the second signs, and is not sent |
`,
  ],
  [
    "README.md",
    between("- `S3_REFUSED`", "- `OUTCOME"),
    `- \`S3_NOT_FOUND\`: there is no object under this key.
- \`S3_REFUSED\`: the storage refused what it was asked.
`,
  ],
  [
    "package.json",
    between('  "description"', '  "keywords"'),
    '  "description": "A storage like S3, looked after.",\n',
  ],
];

/** Makes the edits in a package that `npm run new s3` has made. */
export function apply(directory) {
  for (const [file, place, text] of edits) {
    const path = join(directory, file);
    writeFileSync(path, place === undefined ? text : replaced(readFileSync(path, "utf8"), place, text, file));
  }
}

function replaced(whole, [from, to], text, file) {
  const start = whole.indexOf(from);
  const end = whole.indexOf(to, start);
  if (start === -1 || end === -1) throw new Error(`${file} has no ${JSON.stringify(start === -1 ? from : to)}`);
  return whole.slice(0, start) + text + whole.slice(end);
}

if (process.argv[1] === import.meta.filename) apply(process.argv[2]);
