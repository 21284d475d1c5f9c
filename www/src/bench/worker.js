// The engine and the benchmark framework in a Web Worker, so that they and the page do not block each other.

import * as bench from "../../../build/benchmark/benchmark.js";
import { createEngine } from "../../../build/package/dist/browser.js";
import { indexedDbStore } from "../../../build/package/dist/indexeddb.js";

/** The database of the benchmarks' L2. */
const DATABASE = "featheredge-benchmark-l2";

const WASM = new URL("../../../build/benchmark/benchmark.wasm", import.meta.url);
const ready = bench.load(() => WebAssembly.compileStreaming(fetch(WASM)));

/** Deletes the database of an earlier repetition, and returns a store in a new one. */
async function emptyStore() {
	await new Promise((resolve, reject) => {
		const request = indexedDB.deleteDatabase(DATABASE);
		request.onsuccess = resolve;
		request.onerror = () => reject(request.error);
	});
	return indexedDbStore({ name: DATABASE });
}

const stores = { indexeddb: emptyStore, memory: bench.memoryStore, none: () => undefined };

function targetOf({ kind, url, token, l2, origin, delay_ms }) {
	if (kind === "url") return bench.urlTarget(url, { token });
	const config = origin === undefined ? { origin: { delay_ms } } : {};
	return bench.engineTarget({ createEngine, config, origin, openStore: stores[l2] });
}

const tasks = {
	framework: () => bench.framework(),
	check: ({ scenario, scale }) => bench.scaledScenario(scenario, scale),
	summarize: ({ run }) => bench.summarize(run),
	compare: ({ left, right }) => bench.compare(left, right, 1),
	async run({ scenarios, repeats, scale, target, environment }, { signal, tell }) {
		const scaled = scenarios.map((scenario) => bench.scaledScenario(scenario, scale));
		return bench.runSuite({ scenarios: scaled, repeats, target: targetOf(target), environment, signal, onLive: tell });
	},
};

/** @type {Map<number, AbortController>} */
const controllers = new Map();

addEventListener("message", async ({ data: { id, task, options } }) => {
	if (task === "cancel") return controllers.get(id)?.abort();
	const controller = new AbortController();
	controllers.set(id, controller);
	const tell = (live) => postMessage({ id, live });
	try {
		await ready;
		postMessage({ id, result: await tasks[task](options, { signal: controller.signal, tell }) });
	} catch (error) {
		postMessage({ id, error: { name: error?.name, message: error?.message ?? String(error) } });
	} finally {
		controllers.delete(id);
	}
});
