// The log of errors of stores and of the invalidation log, for operators: a repeated error is logged once a
// minute, with its count.
//
// It does not know where texts come from. Invariants: an entry is one line of bounded length without
// credentials; the entries of a minute are bounded.

import { messageOf } from "../errors.js";

/** How long repetitions of an error are suppressed, in milliseconds. */
const INTERVAL_MS = 60_000;

/** The most distinct errors in that time. */
const MAX_DISTINCT = 16;

/** The longest text of an error, in characters. */
const MAX_TEXT = 500;

/** Credentials in texts: in URLs, in headers, and after names such as `token`. */
const CREDENTIALS = [
	[/\/\/[^/\s@]*@/g, "//[redacted]@"],
	[/\b(bearer|basic)\s+[^\s"',;]+/gi, "$1 [redacted]"],
	[/\b(password|passwd|secret|token|api[-_]?key|authorization)(["']?\s*[:=]\s*["']?)[^\s"',;&]+/gi, "$1$2[redacted]"],
];

/** The text of an error for the log: redacted, bounded, one line. */
function textOf(error) {
	let text = messageOf(error).slice(0, 2 * MAX_TEXT);
	for (const [pattern, replacement] of CREDENTIALS) text = text.replace(pattern, replacement);
	// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters must not reach a log
	return text.replace(/[\u0000-\u001f\u007f]+/g, " ").slice(0, MAX_TEXT);
}

export class ErrorLog {
	#write;
	#clock;
	/**
	 * The last time of each error, by its line without numbers.
	 *
	 * @type {Map<string, { at: number, suppressed: number }>}
	 */
	#recent = new Map();

	/**
	 * @param {(line: string, cause?: unknown) => void} write
	 * @param {() => number} clock
	 */
	constructor(write, clock) {
		this.#write = write;
		this.#clock = clock;
	}

	/** Logs an error of `what`, unless the same was logged recently. */
	log(what, error) {
		const now = this.#clock();
		const isRecent = ({ at }) => Math.abs(now - at) < INTERVAL_MS;
		const line = `${what} failed: ${textOf(error)}`;
		const key = line.replace(/\d+/g, "0");
		const last = this.#recent.get(key);
		if (last !== undefined && isRecent(last)) {
			last.suppressed += 1;
			return;
		}
		if (last === undefined && this.#recent.size >= MAX_DISTINCT) {
			for (const [other, entry] of this.#recent) if (!isRecent(entry)) this.#recent.delete(other);
			if (this.#recent.size >= MAX_DISTINCT) return;
		}
		this.#recent.set(key, { at: now, suppressed: 0 });
		const since = last?.suppressed > 0 ? ` (repeated ${last.suppressed} times since this was last logged)` : "";
		try {
			this.#write(`featheredge: ${line}${since}`, error);
		} catch {
			// An exception of the log must not fail a request.
		}
	}
}
