// node measure.js 45: pairs of unary calls, raw and managed, on this Node; prints JSON.
import { unary } from "./unary.ts";

console.log(JSON.stringify(await unary(Number(process.argv[2]))));
