// Ends of a command, and the exit codes that docs/reference/cli.md lists.

export const EXIT = Object.freeze({ ok: 0, failed: 1, usage: 2, configuration: 3, refused: 4, interrupted: 130 });

/** An error that the person at the keyboard can do something about: shown without a stack. */
export class Failure extends Error {
	constructor(message, exitCode = EXIT.failed) {
		super(message);
		this.exitCode = exitCode;
	}
}

/** The exit code of an error, whoever threw it. */
export function exitCodeOf(error) {
	if (error instanceof Failure) return error.exitCode;
	if (error.code === "invalid-configuration") return EXIT.configuration;
	return typeof error.status === "number" ? EXIT.refused : EXIT.failed;
}
