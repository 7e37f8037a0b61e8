// Writes the TypeScript of every .proto file: `npm --prefix tooling/proto run generate`. Needs no network.
import { rmSync } from "node:fs";
import { protos, write } from "./protos.mjs";

for (const proto of protos()) {
  rmSync(proto.generated, { recursive: true, force: true });
  write(proto, proto.generated);
}
