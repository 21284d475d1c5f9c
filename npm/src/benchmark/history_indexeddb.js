// A history in IndexedDB. In a browser that stores nothing it lasts as long as the page.

import { committed, result } from "../indexed_db.js";
import { changed, checkLimit, LIMIT, newestFirst, recordOf, shown, surplus, unknownRun } from "./history.js";

const RECORDS = "records";
/** The store of the first version, which had the runs themselves. */
const RUNS = "runs";
const VERSION = 2;

function upgrade({ result: database, transaction }) {
	const records = database.createObjectStore(RECORDS, { keyPath: "id" });
	if (!database.objectStoreNames.contains(RUNS)) return;
	const all = transaction.objectStore(RUNS).getAll();
	all.onsuccess = () => {
		for (const run of all.result) {
			records.put({ id: run.id, saved_at: Date.parse(run.started_at) || 0, is_baseline: false, run });
		}
		database.deleteObjectStore(RUNS);
	};
}

async function open(name, onGone) {
	const request = indexedDB.open(name, VERSION);
	request.onupgradeneeded = () => upgrade(request);
	const database = await new Promise((resolve, reject) => {
		// A page of an earlier version keeps it open: until that is closed, this history lasts as long as its page.
		request.onblocked = () => reject(new Error("another page uses an earlier version"));
		result(request).then(resolve, reject);
	});
	// Another page may want to delete or upgrade it.
	database.onversionchange = () => {
		database.close();
		onGone();
	};
	database.onclose = onGone;
	return database;
}

/** @param {string} [name] of the database */
export function indexedDbHistory(name = "featheredge-benchmark") {
	/** In a browser without storage. @type {Map<string, import("./history.js").StoredRun>} */
	const unsaved = new Map();
	let opening;

	/** Reads all records, and writes what `change` returns of them, in one transaction. */
	async function transact(change) {
		opening ??= open(name, () => {
			opening = undefined;
		}).catch(() => undefined);
		const database = await opening;
		if (database === undefined) {
			const { put = [], remove = [] } = change([...unsaved.values()]) ?? {};
			for (const record of put) unsaved.set(record.id, record);
			for (const id of remove) unsaved.delete(id);
			return;
		}
		let transaction;
		try {
			transaction = database.transaction(RECORDS, "readwrite");
		} catch (error) {
			// Another page has had it closed: the next call opens it again.
			opening = undefined;
			throw error;
		}
		const done = committed(transaction);
		const store = transaction.objectStore(RECORDS);
		try {
			const { put = [], remove = [] } = change(await result(store.getAll())) ?? {};
			for (const record of put) store.put(record);
			for (const id of remove) store.delete(id);
		} catch (error) {
			transaction.abort();
			await done.catch(() => {});
			throw error;
		}
		await done;
	}

	/** The records that `choose` returns. */
	async function read(choose) {
		let found;
		await transact((records) => {
			found = choose(records);
		});
		return found;
	}

	return {
		history: (limit = LIMIT) => read((records) => newestFirst(records).slice(0, checkLimit(limit)).map(shown)),
		get: (id) => read((records) => records.filter((record) => record.id === id).map(shown)[0]),
		save: (run) =>
			transact((records) => {
				const record = recordOf(run, records);
				const all = [...records.filter(({ id }) => id !== record.id), record];
				return { put: [record], remove: surplus(all).map(({ id }) => id) };
			}),
		update: (id, changes) =>
			transact((records) => {
				const record = records.find((known) => known.id === id);
				if (record === undefined) throw unknownRun(id);
				const others = changes.is_baseline ? records.filter((known) => known.is_baseline && known.id !== id) : [];
				return { put: [...others.map((other) => ({ ...other, is_baseline: false })), changed(record, changes)] };
			}),
		remove: (id) => transact(() => ({ remove: [id] })),
		baseline: () => read((records) => records.filter(({ is_baseline }) => is_baseline).map(shown)[0]),
	};
}
