// Errors of a command, and the exit codes in docs/reference/cli.md.
//
// Invariant: an error is a sentence without a stack, which only FEATHEREDGE_DEBUG shows, and without secrets.

import { redacted } from "./secrets.js";

export const EXIT = Object.freeze({
	ok: 0,
	failed: 1,
	usage: 2,
	configuration: 3,
	refused: 4,
	budget: 5,
	interrupted: 130,
	outputClosed: 141,
	terminated: 143,
});

/** The longest message, in characters: a server may send more. */
const MAX_MESSAGE = 2_000;

/** An error that the user can correct. */
export class Failure extends Error {
	constructor(message, exitCode = EXIT.failed) {
		super(message);
		this.exitCode = exitCode;
	}
}

/** The exit code of any error. */
function exitCodeOf(error) {
	if (error instanceof Failure) return error.exitCode;
	if (error?.code === "invalid-configuration") return EXIT.configuration;
	return typeof error?.status === "number" ? EXIT.refused : EXIT.failed;
}

function messageOf(error) {
	// An error with a code says what is wrong; one without is a bug.
	if (error instanceof Failure || typeof error?.code === "string") return error.message;
	if (error instanceof RangeError && /call stack/.test(error.message)) return "a value is nested too deeply";
	return `internal error: ${error?.message ?? error} (FEATHEREDGE_DEBUG=1 shows where)`;
}

/**
 * What a command says of an error.
 *
 * @param {any} error
 * @returns {{ message: string, exitCode: number, stack?: string }}
 */
export function describe(error) {
	const message = redacted(messageOf(error));
	return {
		message: message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message,
		exitCode: exitCodeOf(error),
		...(process.env.FEATHEREDGE_DEBUG && { stack: redacted(String(error?.stack)) }),
	};
}
