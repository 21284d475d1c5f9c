// The library's one error: its code is for programs, its message says what to do.

/**
 * `invalid-scenario`, `invalid-run`, `unknown-run`, `invalid-budget`, `invalid-options`, `unknown-scenario`, `duplicate-scenario`, or the fault of a
 * target that was checked: `invalid-url`, `unreachable`, `unauthorized`, `forbidden`, `not-featheredge`, `failed`.
 */
export class BenchmarkError extends Error {
	constructor(code, message, options) {
		super(message, options);
		this.name = "BenchmarkError";
		this.code = code;
	}
}

/** Calls the module, whose errors are texts, and gives them a code. */
export function withCode(code, act) {
	try {
		return act();
	} catch (error) {
		if (error instanceof BenchmarkError) throw error;
		throw new BenchmarkError(code, error.message ?? String(error));
	}
}
