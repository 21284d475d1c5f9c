// IndexedDB as a store, for browsers and their workers: one transaction for all keys.

const ROWS = "rows";
const BY_EXPIRY = "expires";
/** How often what has expired is deleted, in milliseconds. */
const SWEEP_MILLIS = 60_000;

const result = (request) =>
	new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});

const committed = (transaction) =>
	new Promise((resolve, reject) => {
		transaction.oncomplete = resolve;
		transaction.onabort = () => reject(transaction.error);
	});

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
	const rows = async (mode) => (await database()).transaction(ROWS, mode).objectStore(ROWS);
	return {
		async getMany(keys) {
			const store = await rows("readonly");
			const now = clock();
			const found = await Promise.all(keys.map((key) => result(store.get(key))));
			return found.map((entry) => (entry?.expires > now ? entry.value : undefined));
		},
		async setMany(entries, { ttl }) {
			const store = await rows("readwrite");
			const now = clock();
			for (const [key, value] of entries) store.put({ value, expires: now + ttl * 1_000 }, key);
			if (now - sweptAt > SWEEP_MILLIS) {
				sweptAt = now;
				const cursor = store.index(BY_EXPIRY).openKeyCursor(IDBKeyRange.upperBound(now));
				cursor.onsuccess = () => {
					if (cursor.result === null) return;
					store.delete(cursor.result.primaryKey);
					cursor.result.continue();
				};
			}
			await committed(store.transaction);
		},
	};
}
