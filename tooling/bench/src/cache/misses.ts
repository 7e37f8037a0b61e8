// One process of several that miss the same keys at the same moment: name of the contender, URL of Redis, keys, calls for
// each, when to begin in ms since 1970. Prints how often it has loaded.
import { setTimeout } from "node:timers/promises";
import { CONTENDERS } from "./contenders.ts";

/** How long a load takes. */
const LOAD_MS = 50;

const [name = "", url = "", keys = "0", calls = "0", begin = "0"] = process.argv.slice(2);
const open = CONTENDERS[name];
if (open === undefined) throw new Error(`there is no contender ${name}`);
let loads = 0;
{
  await using contender = await open(url);
  const load = async (): Promise<string> => {
    loads++;
    await setTimeout(LOAD_MS);
    return "value";
  };
  await contender.get("warm", load);
  loads = 0;
  await setTimeout(Math.max(0, Number(begin) - Date.now()));
  for (let key = 0; key < Number(keys); key++)
    await Promise.all(Array.from({ length: Number(calls) }, () => contender.get(`key ${key}`, load)));
}
console.log(JSON.stringify(loads));
