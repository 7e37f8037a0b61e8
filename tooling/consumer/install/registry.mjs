// A registry of our own packages alone, from their tarballs: clients get all others from where they always do.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { basename } from "node:path";
import { pack } from "../../run/pack.mjs";

/** Builds and packs everything, and serves the tarballs on this machine. `tarballs` maps names to files. */
export async function startRegistry() {
  const packed = (await pack()).map(({ file }) => readTarball(file));
  const byName = new Map(packed.map((one) => [one.manifest.name, one]));
  const byFile = new Map(packed.map((one) => [basename(one.file), one]));
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname).slice(1);
    const tarball = byFile.get(path);
    if (tarball !== undefined) return void response.end(tarball.bytes);
    const one = byName.get(path);
    if (one === undefined) return void response.writeHead(404).end("{}");
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(packument(one, `http://${request.headers.host}/${basename(one.file)}`)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    tarballs: new Map(packed.map((one) => [one.manifest.name, one.file])),
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function readTarball(file) {
  const bytes = readFileSync(file);
  const manifest = JSON.parse(execFileSync("tar", ["-xzOf", file, "package/package.json"], { encoding: "utf8" }));
  return { file, bytes, manifest };
}

/** What a registry says of a package with one version. */
function packument({ bytes, manifest }, tarball) {
  const { name, version } = manifest;
  const dist = {
    tarball,
    shasum: createHash("sha1").update(bytes).digest("hex"),
    integrity: `sha512-${createHash("sha512").update(bytes).digest("base64")}`,
  };
  return {
    name,
    "dist-tags": { latest: version },
    versions: { [version]: { ...manifest, _id: `${name}@${version}`, dist } },
    time: { [version]: new Date(0).toISOString() },
  };
}
