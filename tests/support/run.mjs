// Runs other programs, and ends a script with a message instead of a stack. Uses Node's own modules only.

import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { root } from "./root.mjs";

/** An error that the person at the keyboard can do something about: shown without a stack. */
export class Failure extends Error {}

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
// A script that ends early takes along what it started.
process.on("exit", () => {
	for (const child of running) child.kill();
});

/**
 * Runs a program to its end.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {object} [options]
 * @param {NodeJS.ProcessEnv} [options.env] added to this process's environment
 * @param {string} [options.cwd]
 * @param {string} [options.log] a file that takes all output; without it, output goes to this process's own
 * @param {boolean} [options.capture] keep the output in `output` and show nothing
 * @param {number} [options.timeoutMs] the program is killed when it takes longer
 * @returns {Promise<{ code: number, output: string }>} `output` is empty unless captured or logged; the code of a signal is 128
 */
export function run(command, args, options = {}) {
	const kept = options.capture || options.log !== undefined;
	return new Promise((resolve, reject) => {
		const child = spawn(command, args, {
			cwd: options.cwd ?? root,
			env: { ...process.env, ...options.env },
			stdio: ["ignore", kept ? "pipe" : "inherit", kept ? "pipe" : "inherit"],
		});
		running.add(child);
		/** @type {Buffer[]} */
		const chunks = [];
		let file;
		if (options.log !== undefined) {
			mkdirSync(dirname(options.log), { recursive: true });
			file = createWriteStream(options.log);
		}
		for (const stream of [child.stdout, child.stderr]) {
			stream?.on("data", (chunk) => {
				chunks.push(chunk);
				file?.write(chunk);
			});
		}
		const timer =
			options.timeoutMs === undefined
				? undefined
				: setTimeout(() => {
						chunks.push(Buffer.from(`\nkilled after ${options.timeoutMs} ms\n`));
						child.kill("SIGKILL");
					}, options.timeoutMs);
		child.on("error", (error) => {
			running.delete(child);
			clearTimeout(timer);
			reject(error.code === "ENOENT" ? new Failure(`\`${command}\` was not found`, { cause: error }) : error);
		});
		child.on("close", (code) => {
			running.delete(child);
			clearTimeout(timer);
			file?.end();
			resolve({ code: code ?? 128, output: Buffer.concat(chunks).toString() });
		});
	});
}

/**
 * As `run`, but a non-zero exit is a failure; output that was kept is part of its text.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {Parameters<typeof run>[2]} [options]
 */
export async function mustRun(command, args, options = {}) {
	const result = await run(command, args, options);
	if (result.code !== 0) {
		const said = result.output.trim();
		throw new Failure(`\`${[command, ...args].join(" ")}\` ended with code ${result.code}${said && `:\n${said}`}`);
	}
	return result.output;
}

/**
 * The main function of a script: a `Failure` becomes one message and exit code 1.
 *
 * @param {() => Promise<unknown>} body
 */
export async function main(body) {
	try {
		await body();
	} catch (error) {
		console.error(error instanceof Failure ? `error: ${error.message}` : error);
		process.exitCode = 1;
	}
}
