// The echo on the Node that runs this: node echo-run.js <rounds>. Prints JSON.
import { echo } from "./echo.ts";

console.log(JSON.stringify(await echo(Number(process.argv[2] ?? 9))));
process.exit();
