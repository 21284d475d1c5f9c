// Tasks of the page for its Web Worker, which starts with the first task.

/** A task was cancelled. */
export class Cancelled extends Error {}

let worker;
let lastId = 0;
/** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void, onEvent?: (event: any) => void }>} */
const waiting = new Map();

function start() {
	worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "benchmark" });
	worker.addEventListener("message", ({ data: { id, event, result, error } }) => {
		const task = waiting.get(id);
		if (event !== undefined) return task?.onEvent?.(event);
		waiting.delete(id);
		if (error === undefined) task?.resolve(result);
		else if (error.name === "AbortError") task?.reject(new Cancelled(error.message));
		else task?.reject(Object.assign(new Error(error.message), { code: error.code }));
	});
	worker.addEventListener("error", (event) => {
		for (const { reject } of waiting.values()) reject(new Error(event.message || "The Web Worker did not start."));
		waiting.clear();
		worker = undefined;
	});
}

/**
 * @param {"framework" | "parse" | "compare" | "toCsv" | "toJson" | "toMarkdown" | "summarySentence" | "run" | "findHighestRate"} task
 * @param {any} [options]
 * @param {(event: any) => void} [onEvent]
 * @returns {Promise<any> & { cancel: () => void }}
 */
export function ask(task, options, onEvent) {
	if (worker === undefined) start();
	lastId += 1;
	const id = lastId;
	const promise = new Promise((resolve, reject) => waiting.set(id, { resolve, reject, onEvent }));
	worker.postMessage({ id, task, options });
	return Object.assign(promise, { cancel: () => worker?.postMessage({ id, task: "cancel" }) });
}

let known;

/** The benchmark's constants and its scenarios. */
export const framework = () => {
	known ??= ask("framework");
	return known;
};
