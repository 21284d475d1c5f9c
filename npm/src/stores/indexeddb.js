// A store in IndexedDB, for browsers and their workers: one transaction for all keys.

import { committed, result } from "../indexed_db.js";

const ROWS = "rows";
const BY_EXPIRY = "expires";
/** The interval of the deletion of expired rows, in milliseconds. */
const SWEEP_MS = 60_000;
/** The most rows that may wait for the next transaction. */
const MAX_PENDING_ROWS = 20_000;

function open(name) {
	const request = indexedDB.open(name, 1);
	request.onupgradeneeded = () => request.result.createObjectStore(ROWS).createIndex(BY_EXPIRY, BY_EXPIRY);
	return result(request);
}

/** A store in the database `name`. */
export function indexedDbStore({ name = "featheredge", clock = Date.now } = {}) {
	let opening;
	let sweptAt = 0;
	const database = () => {
		opening ??= open(name).then(
			(database) => {
				// Another page may want to delete or upgrade it.
				database.onversionchange = () => {
					database.close();
					opening = undefined;
				};
				return database;
			},
			(error) => {
				opening = undefined;
				throw error;
			},
		);
		return opening;
	};
	const rows = async (mode) => (await database()).transaction(ROWS, mode, { durability: "relaxed" }).objectStore(ROWS);

	/** Writes entries in one transaction, and deletes expired rows if the interval has passed. */
	async function write(entries) {
		const store = await rows("readwrite");
		const now = clock();
		for (const [key, entry] of entries) store.put(entry, key);
		if (now - sweptAt > SWEEP_MS) {
			sweptAt = now;
			const cursor = store.index(BY_EXPIRY).openKeyCursor(IDBKeyRange.upperBound(now));
			cursor.onsuccess = () => {
				if (cursor.result === null) return;
				store.delete(cursor.result.primaryKey);
				cursor.result.continue();
			};
		}
		await committed(store.transaction);
	}

	/**
	 * The rows of the next transaction, call by call, and its end.
	 *
	 * @type {{ calls: [string, object][][], length: number, done: Promise<void> } | undefined}
	 */
	let pending;
	let last = Promise.resolve();
	return {
		async getMany(keys) {
			const store = await rows("readonly");
			const now = clock();
			const found = await Promise.all(keys.map((key) => result(store.get(key))));
			return found.map((entry) => (entry?.expires > now ? entry.value : undefined));
		},
		// A write transaction blocks all reads, so the writes that arrive during one share the next.
		async setMany(entries, { ttl }) {
			const expires = clock() + ttl * 1_000;
			if (pending === undefined) {
				const batch = { calls: [], length: 0, done: undefined };
				batch.done = last.then(() => {
					pending = undefined;
					return write(batch.calls.flat());
				});
				last = batch.done.catch(() => {});
				pending = batch;
			}
			const batch = pending;
			if (batch.length > 0 && batch.length + entries.length > MAX_PENDING_ROWS) {
				throw new Error("too many rows are pending");
			}
			const own = entries.map(([key, value]) => [key, { value, expires }]);
			batch.calls.push(own);
			batch.length += own.length;
			await batch.done.catch((error) => {
				// Rows of another call may have failed the batch.
				if (batch.calls.length === 1) throw error;
				return write(own);
			});
		},
	};
}
