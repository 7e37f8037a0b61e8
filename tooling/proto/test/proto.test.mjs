import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { differences, protos, root, runBuf, write } from "../protos.mjs";

const clips = join(root, "apps/reference");

function folder(t) {
  const path = mkdtempSync(join(tmpdir(), "steward-proto-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A copy of what Clips has for buf, to plant something in. */
function copyOf(t) {
  const path = folder(t);
  cpSync(join(clips, "buf.yaml"), join(path, "buf.yaml"));
  cpSync(join(clips, "src/renderer/proto"), join(path, "src/renderer/proto"), { recursive: true });
  return { path, proto: join(path, "src/renderer/proto/clips/v1/renderer.proto") };
}

t.test("the types that are checked in are those that the generator makes", async (t) => {
  const found = protos();
  t.ok(found.length >= 2, `${found.length} files were found`);
  for (const proto of found) {
    const fresh = folder(t);
    write(proto, fresh);
    t.strictSame(differences(proto.generated, fresh), [], `${proto.file}: npm --prefix tooling/proto run generate`);
  }
});

t.test("types that are old, missing or left over are named", async (t) => {
  const [proto] = protos();
  const [one, other] = [folder(t), folder(t)];
  write(proto, one);
  write(proto, other);
  t.strictSame(differences(one, other), []);
  const old = join(other, "clips/v1/Renderer.ts");
  writeFileSync(old, `${readFileSync(old, "utf8")}\n`);
  writeFileSync(join(one, "left-over.ts"), "");
  t.strictSame(differences(one, other), ["clips/v1/Renderer.ts", "left-over.ts"]);
});

t.test("the services of Clips keep the rules of buf, and its format", async (t) => {
  t.strictSame(runBuf("lint", clips), { status: 0, output: "" });
  t.strictSame(runBuf("format", "--diff", "--exit-code", clips), { status: 0, output: "" });
});

t.test("what breaks the rules or callers is told", async (t) => {
  const { path, proto } = copyOf(t);
  appendFileSync(proto, "\nmessage lower {\n  string Id = 1;\n}\n");
  t.match(runBuf("lint", path), { status: 100, output: /should be PascalCase/ });
  t.strictSame(runBuf("breaking", path, "--against", clips), { status: 0, output: "" }, "an addition breaks nobody");
  writeFileSync(proto, readFileSync(proto, "utf8").replace("uint32 percent = 3", "string percent = 3"));
  t.match(runBuf("breaking", path, "--against", clips), { status: 100, output: /"percent".*changed type/ });
});
