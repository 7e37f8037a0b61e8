import { runMain } from "@steward/container";
import { environment } from "../environment.ts";
import { app } from "./app.ts";

await runMain(app, { inputs: [environment.is(process.env)], logger: console });
