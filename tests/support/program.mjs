// Starts a program as a person would, and lets a test wait for what it prints and for its end, never longer than it says.

import { spawn } from "node:child_process";
import { root } from "./root.mjs";

/**
 * @typedef {object} Program
 * @property {number} pid
 * @property {() => string} output all that it has printed
 * @property {(pattern: RegExp, timeoutMs?: number) => Promise<RegExpExecArray>} prints waits for it to print what matches
 * @property {(timeoutMs?: number) => Promise<number | NodeJS.Signals>} ends waits for its exit code, or the signal that ended it
 * @property {(signal?: NodeJS.Signals) => Promise<number | NodeJS.Signals>} stop sends the signal (SIGTERM) if it still runs, and waits; after 10 s it is killed
 */

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Program}
 */
export function startProgram(command, args, { cwd = root, env = {} } = {}) {
	const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
	let text = "";
	let result;
	const listeners = new Set();
	const notify = () => {
		for (const listener of [...listeners]) listener();
	};
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding("utf8").on("data", (chunk) => {
			text += chunk;
			notify();
		});
	}
	child.on("error", (error) => {
		text += error.message;
		result = 127;
		notify();
	});
	child.on("close", (code, signal) => {
		result = code ?? signal;
		notify();
	});

	/** Resolves with the first value that `look` gives, looked for whenever something happens. */
	const until = (look, what, timeoutMs) =>
		new Promise((resolve, reject) => {
			const settle = (act, value) => {
				clearTimeout(timer);
				listeners.delete(check);
				act(value);
			};
			const fail = (why) =>
				settle(reject, new Error(`${command} ${args.join(" ")}: ${why} ${what}; it printed:\n${text}`));
			const check = () => {
				const value = look();
				if (value !== undefined && value !== null) settle(resolve, value);
				else if (result !== undefined) fail(`ended with ${result}, without`);
			};
			const timer = setTimeout(() => fail(`${timeoutMs} ms passed without`), timeoutMs);
			listeners.add(check);
			check();
		});

	const ends = (timeoutMs = 30_000) => until(() => result, "its end", timeoutMs);
	return {
		pid: child.pid,
		output: () => text,
		prints: (pattern, timeoutMs = 30_000) => until(() => pattern.exec(text), `printing ${pattern}`, timeoutMs),
		ends,
		async stop(signal = "SIGTERM") {
			if (result === undefined) child.kill(signal);
			try {
				return await ends(10_000);
			} catch (error) {
				child.kill("SIGKILL");
				throw error;
			}
		},
	};
}
