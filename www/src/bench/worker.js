// The benchmark and the engine in a Web Worker, so that they and the page do not block each other.

import {
	createBenchmark,
	engineTarget,
	memoryStore,
	originTarget,
	summarySentence,
	syntheticOrigin,
	toCsv,
	toJson,
	toMarkdown,
	urlTarget,
} from "../../../build/package/dist/benchmark.js";
import { createEngine } from "../../../build/package/dist/browser.js";
import { indexedDbStore } from "../../../build/package/dist/indexeddb.js";

/** The database of the benchmarks' L2. */
const DATABASE = "featheredge-benchmark-l2";

const loading = createBenchmark();

/** Deletes the database of an earlier repetition, and returns a store in a new one. */
async function emptyStore() {
	await new Promise((resolve, reject) => {
		const request = indexedDB.deleteDatabase(DATABASE);
		request.onsuccess = resolve;
		request.onerror = () => reject(request.error);
	});
	return indexedDbStore({ name: DATABASE });
}

const stores = { indexeddb: emptyStore, memory: memoryStore, none: undefined };

/** The target, and what its load straight at the origin is measured against: the very origin of an engine. */
function targetsOf({ kind, url, token, l2, origin, delay_ms }, compared) {
	if (kind === "url") {
		const straight = compared && originTarget(compared.url, { token: compared.token });
		return { target: urlTarget(url, { token }), origin: straight };
	}
	const own = origin ?? syntheticOrigin({ delay_ms });
	const served = origin === undefined ? { origin: own } : { config: { origin: { url: origin } } };
	return { target: engineTarget({ createEngine, ...served, l2: stores[l2] }), origin: originTarget(own) };
}

const tasks = {
	framework: (benchmark) => ({ ...benchmark.constants, scenarios: benchmark.scenarios() }),
	parse: (benchmark, { run }) => benchmark.parse(run),
	compare: (benchmark, { baseline, run }) => benchmark.compare(baseline, run),
	toCsv: (_, { run }) => toCsv(run),
	toJson: (_, { run }) => toJson(run),
	toMarkdown: (_, { run }) => toMarkdown(run),
	summarySentence: (_, { run }) => summarySentence(run),
	run: (benchmark, { target, origin, ...options }, context) =>
		benchmark.run({ ...options, ...targetsOf(target, origin), ...context }),
	findHighestRate: (benchmark, { target, ...options }, context) =>
		benchmark.findHighestRate({ ...options, target: targetsOf(target).target, ...context }),
};

/** @type {Map<number, AbortController>} */
const controllers = new Map();

addEventListener("message", async ({ data: { id, task, options } }) => {
	if (task === "cancel") return controllers.get(id)?.abort();
	const controller = new AbortController();
	controllers.set(id, controller);
	const context = { signal: controller.signal, onEvent: (event) => postMessage({ id, event }) };
	try {
		postMessage({ id, result: await tasks[task](await loading, options, context) });
	} catch (error) {
		const { name, code, message } = error;
		postMessage({ id, error: { name, code, message: message ?? String(error) } });
	} finally {
		controllers.delete(id);
	}
});
