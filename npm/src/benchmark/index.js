// What `featheredge/benchmark` exports on every host.

import { initSync } from "featheredge-benchmark";
import { Benchmark } from "./benchmark.js";

export { BenchmarkError } from "./errors.js";
export { summarySentence, toCsv, toJson, toMarkdown } from "./exports.js";
export { indexedDbHistory } from "./history_indexeddb.js";
export { memoryStore, syntheticOrigin } from "./origin.js";
export { engineTarget, functionTarget, originTarget, urlTarget } from "./targets.js";

let loading;

/** Loads the module once, and makes a benchmark with scenarios of its own. */
export async function create({ wasm, load, environment }) {
	loading ??= (async () => {
		const given = await (wasm ?? load());
		initSync({ module: given instanceof WebAssembly.Module ? given : await WebAssembly.compile(given) });
	})();
	try {
		await loading;
	} catch (error) {
		// The next call may bring another.
		loading = undefined;
		throw error;
	}
	return new Benchmark(environment);
}
