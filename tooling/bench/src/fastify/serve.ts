// One contender as a server: prints its port, then answers each line on its input with the CPU it has used, in us.
import { answerWithCpu } from "./answer.ts";
import { byHand } from "./by-hand.ts";
import type { Contender, Form } from "./contender.ts";
import { withSteward } from "./with-steward.ts";

const contenders: Readonly<Record<string, Contender>> = { hand: byHand, steward: withSteward };
const [name = "", form = "plain"] = process.argv.slice(2);
const make = contenders[name];
if (make === undefined) throw new Error(`there is no contender "${name}"`);
const app = await make(form as Form); // the bench passes nothing else
await app.listen({ port: 0, host: "127.0.0.1" });
const address = app.server.address();
console.log(typeof address === "object" ? address?.port : address);
await answerWithCpu();
await app.close();
