// Whoever watches this isolate's core: its module, which is made an instance behind the first answer and not before, and the places
// outside.

import { __wbg_reset_state, initSync, Watch } from "featheredge-watch";
import watchModule from "./watch.wasm";
import { post, Watching } from "./watching.mjs";

/** The secrets that go along to the places outside, by the kind of place. */
const AUTHORIZATIONS = { webhook: "FEATHEREDGE_WEBHOOK_AUTHORIZATION", traces: "FEATHEREDGE_TRACES_AUTHORIZATION" };

let isThere = false;

/** The watchers of the present instance: the Worker's, and that of an object in the same isolate. @type {Set<Watch>} */
const present = new Set();

/** A new watcher by the configuration in `env`. */
export function makeWatch(env) {
	if (!isThere) initSync({ module: watchModule });
	isThere = true;
	const watch = new Watch(env.FEATHEREDGE);
	present.add(watch);
	return watch;
}

/** Whether a watcher is of the present instance: any other must not be entered. */
export const isPresent = (watch) => present.has(watch);

/** Takes a watcher back. */
export function free(watch) {
	present.delete(watch);
	watch.free();
}

/** Sees to it that an instance that has trapped is never entered again. */
export function onFault(error) {
	console.error(error);
	if (error instanceof WebAssembly.RuntimeError) {
		present.clear();
		__wbg_reset_state();
	}
}

/**
 * @param {Record<string, any>} env
 * @param {() => Uint8Array | undefined} records what the core told since this was last called
 * @param {(status: number) => void} setSlaStatus tells the core how the isolate's service level stands
 */
export function watchingOf(env, records, setSlaStatus) {
	return new Watching({
		make: () => makeWatch(env),
		isPresent,
		free,
		records,
		setSlaStatus,
		onFault,
		sleep: (millis) => new Promise((resolve) => setTimeout(resolve, millis)),
		async send(kind, to, body, signal) {
			switch (kind) {
				case "windows":
					return env[to].getByName("all").merge(body);
				case "analytics":
					for (const point of JSON.parse(new TextDecoder().decode(body))) env[to].writeDataPoint(point);
					return;
				default:
					return post(to, body, env[AUTHORIZATIONS[kind]], signal);
			}
		},
	});
}
