// Claims what its parent names, and says whether it has got it.
import { claim } from "../src/training/claim.ts";

const [, , folder = ""] = process.argv;
process.on("message", (id) => void claim(folder, String(id)).then((release) => process.send?.(release !== undefined)));
process.send?.("ready");
