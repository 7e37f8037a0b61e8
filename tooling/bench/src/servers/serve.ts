// One contender as a server, such as `hand hono`: prints its port, then the CPU it has used whenever it is asked.
import { answerWithCpu } from "../fastify/answer.ts";
import { byHand } from "./by-hand.ts";
import { withSteward } from "./with-steward.ts";

const [name = ""] = process.argv.slice(2);
const [by, framework = ""] = name.split(" ");
const make = (by === "hand" ? byHand : withSteward)[framework];
if (make === undefined) throw new Error(`there is no contender "${name}"`);
const { port, stop } = await make();
console.log(port);
await answerWithCpu();
await stop();
