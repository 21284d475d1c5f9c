// Saved runs in IndexedDB, newest first. Without storage they last as long as the page.

import { framework } from "./client.js";

const DATABASE = "featheredge-benchmark";
const RUNS = "runs";

/** In a browser without storage. @type {Map<string, any>} */
const unsaved = new Map();

const result = (request) =>
	new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});

let opening;

function open() {
	opening ??= (async () => {
		const request = indexedDB.open(DATABASE, 1);
		request.onupgradeneeded = () => request.result.createObjectStore(RUNS, { keyPath: "id" });
		return result(request);
	})().catch(() => undefined);
	return opening;
}

async function store(mode) {
	return (await open())?.transaction(RUNS, mode).objectStore(RUNS);
}

const newestFirst = (runs) => runs.sort((left, right) => (left.started_at < right.started_at ? 1 : -1));

/** All runs, newest first. */
export async function runs() {
	const stored = await store("readonly");
	return newestFirst(stored === undefined ? [...unsaved.values()] : await result(stored.getAll()));
}

/** Saves a run, and deletes the oldest of too many. */
export async function keep(run) {
	const { history } = await framework();
	const stored = await store("readwrite");
	if (stored === undefined) {
		unsaved.set(run.id, run);
	} else {
		await result(stored.put(run));
	}
	for (const { id } of (await runs()).slice(history)) await forget(id);
}

/** @param {string} id */
export async function forget(id) {
	unsaved.delete(id);
	const stored = await store("readwrite");
	if (stored !== undefined) await result(stored.delete(id));
}
