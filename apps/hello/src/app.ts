import { container } from "@steward/container";
import { notes } from "./notes.ts";
import { server } from "./server.ts";

/** All of it: what these need starts in parallel, and stops in the reverse order. */
export const app = container([server, notes], { name: "hello" });
