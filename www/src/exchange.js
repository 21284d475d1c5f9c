// Sends a request; returns the response's exact text, its headers, and the latency in this browser.

import { credentials } from "./token.js";

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
 */

/** There was no response. */
export class NoResponseError extends Error {}

/**
 * @param {string} endpoint a path of this origin
 * @param {string} requestText
 * @returns {Promise<Exchange>}
 * @throws {NoResponseError}
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
				? `No response within ${TIMEOUT_MS / 1000} seconds.`
				: "The Worker could not be reached. Is it running?";
		throw new NoResponseError(reason, { cause: error });
	}
}
