import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
/** The full path of a program on PATH, or `undefined`. */
export function findProgram(name) {
    for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
        const path = join(folder, name);
        if (folder !== "" && isExecutable(path))
            return path;
    }
    return undefined;
}
/** Tells whether a path is a file that we may run. */
export function isExecutable(path) {
    try {
        accessSync(path, constants.X_OK);
        return statSync(path).isFile();
    }
    catch {
        return false;
    }
}
/** Runs a command to its end; failing is an outcome, an abort rejects. */
export function runCommand(command, options = {}) {
    const { cwd, input, signal } = options;
    const [program = "", ...args] = command;
    return new Promise((resolve, reject) => {
        const child = execFile(program, args, { env: serverEnvironment(), maxBuffer: 1 << 24, ...(cwd && { cwd }), ...(signal && { signal }) }, (error, stdout, stderr) => {
            if (signal?.aborted === true)
                return reject(signal.reason);
            const said = `${stdout}${stderr}`.trim();
            resolve({ ok: error === null, text: said === "" ? (error?.message ?? "") : said });
        });
        // A command that does not read its input closes the pipe early.
        child.stdin?.on("error", () => undefined);
        child.stdin?.end(input ?? "");
    });
}
/** Our environment without what would change a server's behaviour or language. */
export function serverEnvironment() {
    const own = Object.entries(process.env).filter(([name]) => !/^(PG|LC_)/.test(name));
    return { ...Object.fromEntries(own), LC_ALL: "C" };
}
//# sourceMappingURL=programs.js.map