// The `fetch` of a server's origin, which tells the operator why a request to it failed: a caller learns only that it did.

import { nodeFetch } from "../src/gateway/node_fetch.js";

/** An earlier abort says nothing of the origin: a caller left, or a hedged copy of the request was faster. */
const SLOW_MS = 1_000;

/**
 * @param {(reason: string) => void} report
 * @returns {typeof nodeFetch}
 */
export const reportingFetch = (report) => async (url, init) => {
	const began = performance.now();
	try {
		const response = await nodeFetch(url, init);
		if (response.status >= 500) report(`it responded with ${response.status}`);
		return response;
	} catch (error) {
		const millis = Math.round(performance.now() - began);
		if (!init.signal?.aborted) report(error.cause?.message || error.cause?.code || error.message);
		else if (millis >= SLOW_MS) report(`no response after ${millis} ms`);
		throw error;
	}
};
