// Any driver of unstorage as a store.

/** A store over what unstorage's `createStorage` gives. */
export function unstorageStore(storage) {
	return {
		getMany: (keys) => Promise.all(keys.map(async (key) => bytesOf(await storage.getItemRaw(key)))),
		async setMany(entries, { ttl }) {
			// Drivers that know no expiry keep what the core then takes for expired.
			const results = await Promise.allSettled(entries.map(([key, value]) => storage.setItemRaw(key, value, { ttl })));
			return results.filter(({ status }) => status === "rejected").length;
		},
	};
}

/** Drivers give bytes in different clothes. */
function bytesOf(value) {
	if (value instanceof Uint8Array) return value;
	return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}
