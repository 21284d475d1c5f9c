// Tasks of the page for its Web Worker, which starts with the first task.

/** A task was cancelled. */
export class Cancelled extends Error {}

let worker;
let lastId = 0;
/**
 *
 * @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void, onLive?: (live: any) => void }>}
 */
const waiting = new Map();

function start() {
	worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "benchmark" });
	worker.addEventListener("message", ({ data: { id, live, result, error } }) => {
		const task = waiting.get(id);
		if (live !== undefined) return task?.onLive?.(live);
		waiting.delete(id);
		if (error === undefined) task?.resolve(result);
		else task?.reject(error.name === "AbortError" ? new Cancelled(error.message) : new Error(error.message));
	});
	worker.addEventListener("error", (event) => {
		for (const { reject } of waiting.values()) reject(new Error(event.message || "the worker could not be started"));
		waiting.clear();
		worker = undefined;
	});
}

/**
 * @param {"framework" | "check" | "summarize" | "compare" | "run"} task
 * @param {any} [options]
 * @param {(live: any) => void} [onLive]
 * @returns {Promise<any> & { cancel: () => void }}
 */
export function ask(task, options, onLive) {
	if (worker === undefined) start();
	lastId += 1;
	const id = lastId;
	const promise = new Promise((resolve, reject) => waiting.set(id, { resolve, reject, onLive }));
	worker.postMessage({ id, task, options });
	return Object.assign(promise, { cancel: () => worker?.postMessage({ id, task: "cancel" }) });
}

let known;

/** The framework's constants. */
export const framework = () => {
	known ??= ask("framework");
	return known;
};
