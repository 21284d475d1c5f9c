// Errors of a command, and the exit codes in docs/reference/cli.md.

export const EXIT = Object.freeze({
	ok: 0,
	failed: 1,
	usage: 2,
	configuration: 3,
	refused: 4,
	budget: 5,
	interrupted: 130,
});

/** An error that the user can correct; printed without a stack. */
export class Failure extends Error {
	constructor(message, exitCode = EXIT.failed) {
		super(message);
		this.exitCode = exitCode;
	}
}

/** The exit code of any error. */
export function exitCodeOf(error) {
	if (error instanceof Failure) return error.exitCode;
	if (error.code === "invalid-configuration") return EXIT.configuration;
	return typeof error.status === "number" ? EXIT.refused : EXIT.failed;
}
