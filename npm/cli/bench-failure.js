// The benchmark library's errors as failures of a command.

import { BenchmarkError } from "../dist/benchmark-node.js";
import { EXIT, Failure } from "./failure.js";

/** Codes of errors that the options are at fault for. */
const USAGE = ["invalid-options", "invalid-scenario", "unknown-scenario", "invalid-budget", "invalid-url"];

/**
 * @template T
 * @param {() => T | Promise<T>} act
 * @param {string} [what] what the user gave, if that is at fault
 */
export async function withFailures(act, what) {
	try {
		return await act();
	} catch (error) {
		if (!(error instanceof BenchmarkError)) throw error;
		const message = what === undefined ? error.message : `${what}: ${error.message}`;
		throw new Failure(message, USAGE.includes(error.code) || what !== undefined ? EXIT.usage : EXIT.failed);
	}
}
