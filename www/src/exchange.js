// Sends a request and keeps what came back: the exact text, the headers, and the time it took here.

import { credentials } from "./token.js";

/** Longer than any deadline of the Worker's. */
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
 */

/** No answer came. */
export class NoAnswer extends Error {}

/**
 * @param {string} endpoint a path of this origin
 * @param {string} requestText
 * @returns {Promise<Exchange>}
 * @throws {NoAnswer}
 */
export async function exchange(endpoint, requestText) {
	const sentAt = performance.now();
	try {
		const response = await fetch(endpoint, {
			method: "POST",
			headers: { "content-type": "application/json", ...credentials() },
			body: requestText,
			cache: "no-store",
			redirect: "error",
			signal: AbortSignal.timeout(TIMEOUT_MS),
		});
		const bytes = await response.arrayBuffer();
		const elapsedMs = performance.now() - sentAt;
		const { status, statusText, headers } = response;
		const text = new TextDecoder().decode(bytes);
		return { endpoint, requestText, status, statusText, headers, text, size: bytes.byteLength, elapsedMs };
	} catch (error) {
		const reason =
			error.name === "TimeoutError"
				? `No answer within ${TIMEOUT_MS / 1000} seconds.`
				: "The Worker could not be reached. Is it still running?";
		throw new NoAnswer(reason, { cause: error });
	}
}
