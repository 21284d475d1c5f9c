// The Worker's entry: hands a request to the core's one export, and sees that a trap costs the requests in flight and no later one.
//
// It is JavaScript, and not what the `worker` crate's build makes, for two reasons. Whatever that build exports becomes callable over
// RPC; here the only export is `fetch`. And only JavaScript outlives a trap: it makes the next instance.

import * as core from "featheredge-core";
import wasmModule from "./index.wasm";

core.initSync({ module: wasmModule });

// A trapped instance has half-finished state and is never entered again.
let isPoisoned = false;

/** @type {Set<() => void>} how to end each request that waits for the present instance */
const waiting = new Set();

function internalError() {
	const problem = {
		type: "urn:featheredge:problem:internal",
		title: "Internal error",
		status: 500,
		detail: "the request met a fault in this Worker and was given up; the next request is served by a new instance",
	};
	return new Response(JSON.stringify(problem), {
		status: 500,
		headers: { "content-type": "application/problem+json" },
	});
}

/** Whether the error is a trap; if so, everything that waits for the instance is answered, since it never will be by the core. */
function isTrap(error) {
	if (!(error instanceof WebAssembly.RuntimeError)) return false;
	isPoisoned = true;
	for (const giveUp of waiting) giveUp();
	return true;
}

// A trap while the core resumes after I/O reaches no caller, only this event.
addEventListener("error", (event) => isTrap(event.error));

export default {
	/**
	 * @param {Request} request
	 * @param {Record<string, unknown>} env
	 * @param {ExecutionContext} ctx
	 * @returns {Promise<Response>}
	 */
	async fetch(request, env, ctx) {
		if (isPoisoned) {
			core.__wbg_reset_state();
			isPoisoned = false;
		}
		let giveUp;
		const trapped = new Promise((resolve) => {
			giveUp = resolve;
		});
		waiting.add(giveUp);
		try {
			return (await Promise.race([core.fetch(request, env, ctx), trapped])) ?? internalError();
		} catch (error) {
			if (isTrap(error)) return internalError();
			throw error;
		} finally {
			waiting.delete(giveUp);
		}
	},
};
