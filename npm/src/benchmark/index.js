// The benchmark framework on any JavaScript host: in a browser's Web Worker, in Node and its like.
//
// Passes requests and responses between the framework, which schedules them, and the target. The framework
// is a module of its own beside the shipped engine, so that a run is the same in the page, on the command
// line and in a test.

import { compare, framework, initSync, scaledScenario, summarize } from "featheredge-benchmark";

export { runSuite } from "./suite.js";
export { engineTarget, memoryStore, urlTarget } from "./targets.js";
export { compare, framework, scaledScenario, summarize };

let isLoaded = false;

/**
 * Loads the module. Everything else needs it.
 *
 * @param {() => WebAssembly.Module | BufferSource | Promise<WebAssembly.Module | BufferSource>} load
 */
export async function load(load) {
	if (isLoaded) return;
	const loaded = await load();
	const module = loaded instanceof WebAssembly.Module ? loaded : await WebAssembly.compile(loaded);
	if (!isLoaded) initSync({ module });
	isLoaded = true;
}
