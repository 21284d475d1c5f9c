// The benchmark framework on any JavaScript host: in a browser's Web Worker, in Node and its like.
//
// Moves bytes between the framework, which says what to ask when, and what answers. It is a module beside the engine's, which runs as it ships,
// so that a run in the page, on the command line and in a test is the same.

import { compare, framework, initSync, scaledScenario, summarize } from "featheredge-benchmark";

export { runSuite } from "./suite.js";
export { engineTarget, memoryStore, urlTarget } from "./targets.js";
export { compare, framework, scaledScenario, summarize };

let isLoaded = false;

/**
 * Makes the module ready. Everything else comes after.
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
