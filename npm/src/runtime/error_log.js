// Errors of stores and of the invalidation log in words, for whoever operates the engine: each once in a while, and how often it came since.
//
// The texts are others'. Invariants: a line is one line, is bounded and names no credentials; the lines of a minute are bounded too.

/** How long after an error the same is told again, in milliseconds. */
const INTERVAL_MILLIS = 60_000;

/** How many different errors are told in that time. */
const MAX_TOLD = 16;

/** The longest text of an error, in characters. */
const MAX_TEXT = 500;

/** Where texts hold credentials: in URLs, in headers, and behind the names of such. */
const CREDENTIALS = [
	[/\/\/[^/\s@]*@/g, "//[redacted]@"],
	[/\b(bearer|basic)\s+[^\s"',;]+/gi, "$1 [redacted]"],
	[/\b(password|passwd|secret|token|api[-_]?key|authorization)(["']?\s*[:=]\s*["']?)[^\s"',;&]+/gi, "$1$2[redacted]"],
];

/** What was thrown, in words; anything can be, and not all of it becomes text. */
export function wordsOf(error) {
	try {
		return String(error?.message ?? error);
	} catch {
		return "an error without a text";
	}
}

/** The text of an error, fit for a log. */
function textOf(error) {
	let text = wordsOf(error).slice(0, 2 * MAX_TEXT);
	for (const [pattern, instead] of CREDENTIALS) text = text.replace(pattern, instead);
	// biome-ignore lint/suspicious/noControlCharactersInRegex: just these must not come into a log
	return text.replace(/[\u0000-\u001f\u007f]+/g, " ").slice(0, MAX_TEXT);
}

export class ErrorLog {
	#write;
	#clock;
	/** What was told of late, but for its numbers. @type {Map<string, { at: number, untold: number }>} */
	#told = new Map();

	/**
	 * @param {(line: string) => void} write
	 * @param {() => number} clock
	 */
	constructor(write, clock) {
		this.#write = write;
		this.#clock = clock;
	}

	/** Tells that something failed with an error, unless the same was told of late. */
	note(what, error) {
		const now = this.#clock();
		const isRecent = ({ at }) => Math.abs(now - at) < INTERVAL_MILLIS;
		const line = `${what} failed: ${textOf(error)}`;
		const shape = line.replace(/\d+/g, "0");
		const last = this.#told.get(shape);
		if (last !== undefined && isRecent(last)) {
			last.untold += 1;
			return;
		}
		if (last === undefined && this.#told.size >= MAX_TOLD) {
			for (const [known, told] of this.#told) if (!isRecent(told)) this.#told.delete(known);
			if (this.#told.size >= MAX_TOLD) return;
		}
		this.#told.set(shape, { at: now, untold: 0 });
		const since = last?.untold > 0 ? ` (and ${last.untold} times since this was last told)` : "";
		try {
			this.#write(`featheredge: ${line}${since}`);
		} catch {
			// A log that fails is no request's failure.
		}
	}
}
