// The one entry to the repository: npm start, npm test, npm run dev and so on. It needs only Node and npm.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`steward: Node ${process.version} is too old; Steward needs Node 20.19 or newer.`);
  process.exit(1);
}

const commands = {
  start: ["./start.mjs", "installs, builds and runs the reference app"],
  hello: ["./start.mjs", "installs, builds and runs the small app to copy from"],
  docs: ["./docs.mjs", "builds the documentation, checks its links and serves it (--build: ends after the check)"],
  test: [
    "./test.mjs",
    "installs, builds and runs every check and test (--suites: only the tests; --benches: those of the benches too; --build: what needs no server)",
  ],
  dev: ["./dev.mjs", "<package> [file part] [--all] [--watch]: the quick loop of one package"],
  bench: ["./script.mjs", "runs the benchmarks"],
  chaos: ["./script.mjs", "runs the fault drills"],
  train: ["./script.mjs", "trains the score model of the reference app"],
  mutate: [
    "../mutate/main.mjs",
    "<package> [file part]: changes the code in small ways; which changes does no test notice?",
  ],
  pack: ["./pack.mjs", "packs every package as it is published, and holds its size to a budget"],
  api: ["./api.mjs", "compares the names that packages export with those of the last release"],
  licenses: ["./licenses.mjs", "lists what users of the packages install, by licence"],
  new: ["./new.mjs", "<name>: makes a new driver package from the template"],
};

const { explain, nearest } = await import("./problem.mjs");
const [name, ...args] = process.argv.slice(2);
try {
  if (name === undefined || name === "help" || name === "--help") {
    for (const [command, [, text]] of Object.entries(commands)) console.log(`  ${command.padEnd(8)} ${text}`);
  } else if (!Object.hasOwn(commands, name)) {
    explain(`there is no command "${name}"${nearest(name, Object.keys(commands))}`);
  } else {
    const { main } = await import(commands[name][0]);
    process.exitCode = await main(args, name);
  }
} catch (error) {
  if (error?.name !== "Problem") throw error;
  console.error(`steward: ${error.message}`);
  process.exitCode = error.exitCode;
}
