import { runSoak } from "./soak/main.ts";
process.exitCode = (await runSoak(Number(process.argv[2]))) > 0 ? 1 : 0;
