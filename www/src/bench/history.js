// The runs that are kept, in IndexedDB, newest first. Who forbids a page to store gets a history that lasts as long as the page.

import { framework } from "./client.js";

const DATABASE = "featheredge-benchmark";
const RUNS = "runs";

/** Of a browser that stores nothing. @type {Map<string, any>} */
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
	const kept = await store("readonly");
	return newestFirst(kept === undefined ? [...unsaved.values()] : await result(kept.getAll()));
}

/** Keeps a run, and forgets the oldest of too many. */
export async function keep(run) {
	const { history } = await framework();
	const kept = await store("readwrite");
	if (kept === undefined) {
		unsaved.set(run.id, run);
	} else {
		await result(kept.put(run));
	}
	for (const { id } of (await runs()).slice(history)) await forget(id);
}

/** @param {string} id */
export async function forget(id) {
	unsaved.delete(id);
	const kept = await store("readwrite");
	if (kept !== undefined) await result(kept.delete(id));
}
