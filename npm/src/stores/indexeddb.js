// IndexedDB as a store, for browsers and their workers: one transaction for all keys.

const ROWS = "rows";
const BY_EXPIRY = "expires";
/** How often what has expired is deleted, in milliseconds. */
const SWEEP_MILLIS = 60_000;
/** How many rows may wait for a transaction that takes its time. */
const MAX_GATHERED = 20_000;

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
	const rows = async (mode) => (await database()).transaction(ROWS, mode, { durability: "relaxed" }).objectStore(ROWS);

	/** Writes entries in one transaction, and deletes what has expired where it is time. */
	async function write(entries) {
		const store = await rows("readwrite");
		const now = clock();
		for (const [key, entry] of entries) store.put(entry, key);
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
	}

	/** What the next transaction is to write, call by call, and its end. @type {{ calls: [string, object][][], length: number, done: Promise<void> } | undefined} */
	let gathered;
	let last = Promise.resolve();
	return {
		async getMany(keys) {
			const store = await rows("readonly");
			const now = clock();
			const found = await Promise.all(keys.map((key) => result(store.get(key))));
			return found.map((entry) => (entry?.expires > now ? entry.value : undefined));
		},
		// A transaction that writes holds up all that read, so what comes while one is written goes into the next together.
		async setMany(entries, { ttl }) {
			const expires = clock() + ttl * 1_000;
			if (gathered === undefined) {
				const batch = { calls: [], length: 0, done: undefined };
				batch.done = last.then(() => {
					gathered = undefined;
					return write(batch.calls.flat());
				});
				last = batch.done.catch(() => {});
				gathered = batch;
			}
			const batch = gathered;
			if (batch.length > 0 && batch.length + entries.length > MAX_GATHERED) {
				throw new Error("too many rows wait to be written");
			}
			const own = entries.map(([key, value]) => [key, { value, expires }]);
			batch.calls.push(own);
			batch.length += own.length;
			await batch.done.catch((error) => {
				// What another call has brought may be at fault.
				if (batch.calls.length === 1) throw error;
				return write(own);
			});
		},
	};
}
