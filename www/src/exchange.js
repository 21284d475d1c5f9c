// Sends a request; returns the response's exact text, its headers, and the latency in this browser. The lines of a stream are told as they
// arrive.

import { milliseconds } from "./headers.js";
import { credentials } from "./token.js";

const NDJSON = "application/x-ndjson";

/** Longer than the Worker's deadlines. */
const TIMEOUT_MS = 30_000;

/**
 * @typedef {object} Exchange
 * @property {string} endpoint
 * @property {string} requestText
 * @property {number} status
 * @property {string} statusText
 * @property {Headers} headers
 * @property {string} text the body as it was sent
 * @property {number} size of the body, in bytes
 * @property {number} elapsedMs from the send to the last byte, in this browser
 * @property {Line[] | undefined} lines of a stream
 *
 * @typedef {object} Line
 * @property {string} text
 * @property {number} atMs from the send, in this browser
 */

/** There was no response. */
export class NoResponseError extends Error {}

/**
 * @param {string} endpoint a path of this origin
 * @param {string} requestText
 * @param {object} [options]
 * @param {AbortSignal} [options.signal] cancels it
 * @param {(line: Line) => void} [options.onLine] asks for a stream, and gets each line of it
 * @returns {Promise<Exchange>}
 * @throws {NoResponseError}
 */
export async function exchange(endpoint, requestText, { signal, onLine } = {}) {
	const sentAt = performance.now();
	const elapsed = () => performance.now() - sentAt;
	const timeout = AbortSignal.timeout(TIMEOUT_MS);
	try {
		const response = await fetch(endpoint, {
			method: "POST",
			headers: { "content-type": "application/json", ...(onLine && { accept: NDJSON }), ...credentials() },
			body: requestText,
			cache: "no-store",
			redirect: "error",
			signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
		});
		const { status, statusText, headers } = response;
		const isStream = onLine !== undefined && headers.get("content-type") === NDJSON;
		const { text, size, lines } = isStream ? await readLines(response, elapsed, onLine) : await readText(response);
		return { endpoint, requestText, status, statusText, headers, text, size, elapsedMs: elapsed(), lines };
	} catch (error) {
		throw new NoResponseError(reasonOf(error, signal, elapsed()), { cause: error });
	}
}

function reasonOf(error, signal, elapsedMs) {
	if (signal?.aborted) return `You cancelled the request after ${milliseconds(elapsedMs)}.`;
	if (error.name === "TimeoutError") return `No response within ${TIMEOUT_MS / 1000} seconds.`;
	// A device without a network still reaches a Worker of its own: being offline is a hint, never the reason alone.
	return `The Worker could not be reached. Is it running?${navigator.onLine ? "" : " This device is offline."}`;
}

async function readText(response) {
	const bytes = await response.arrayBuffer();
	return { text: new TextDecoder().decode(bytes), size: bytes.byteLength, lines: undefined };
}

async function readLines(response, elapsed, onLine) {
	const decoder = new TextDecoder();
	const reader = response.body.getReader();
	const lines = [];
	let [text, size, rest] = ["", 0, ""];
	const take = (line) => {
		if (line === "") return;
		lines.push({ text: line, atMs: elapsed() });
		onLine(lines.at(-1));
	};
	for (;;) {
		const { value, done } = await reader.read();
		const piece = decoder.decode(value, { stream: !done });
		text += piece;
		size += value?.byteLength ?? 0;
		const pieces = (rest + piece).split("\n");
		rest = done ? "" : pieces.pop();
		for (const line of pieces) take(line);
		if (done) return { text, size, lines };
	}
}
