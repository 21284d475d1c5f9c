// Whoever watches an engine: JavaScript and a module of its own, which a host loads when the first request has been answered.

import { __wbg_reset_state, initSync, Watch } from "featheredge-watch";
import { post, Watching } from "../../src/host/watching.mjs";

/** Whether there is an instance in this process or isolate. */
let isThere = false;

/** The watchers of the present instance, each of another engine. @type {Set<Watch>} */
const present = new Set();

/**
 * @param {object} host
 * @param {Record<string, unknown>} host.table the configuration
 * @param {WebAssembly.Module | BufferSource} host.wasm the module
 * @param {() => Uint8Array | undefined} host.records what the core told since this was last called
 * @param {(status: number) => void} host.setSlaStatus tells the core how the engine's service level stands
 * @param {(millis: number) => Promise<boolean>} host.sleep
 * @param {() => number} host.now
 * @param {Record<string, string | undefined>} [host.authorizations] what goes along to the places, by the kind of place
 */
export function watchingOf({ table, wasm, records, setSlaStatus, sleep, now, authorizations = {} }) {
	return new Watching({
		records,
		setSlaStatus,
		sleep,
		now,
		async make() {
			if (!isThere) {
				const module = wasm instanceof WebAssembly.Module ? wasm : await WebAssembly.compile(wasm);
				// Another engine may have been faster meanwhile.
				if (!isThere) initSync({ module });
				isThere = true;
			}
			const watch = new Watch(table);
			present.add(watch);
			return watch;
		},
		isPresent: (watch) => present.has(watch),
		free(watch) {
			present.delete(watch);
			watch.free();
		},
		onFault(error) {
			// A trapped instance has half-finished state and is never entered again.
			if (error instanceof WebAssembly.RuntimeError) {
				present.clear();
				__wbg_reset_state();
			}
		},
		send: (kind, to, body, signal) => post(to, body, authorizations[kind], signal),
	});
}
