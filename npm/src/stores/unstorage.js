// Any driver of unstorage as a store.

import { writeEach } from "./writes.js";

/** A store over what unstorage's `createStorage` gives. */
export function unstorageStore(storage) {
	return {
		getMany: (keys) => Promise.all(keys.map(async (key) => bytesOf(await storage.getItemRaw(key)))),
		// Drivers that know no expiry keep what the core then takes for expired.
		setMany: (entries, { ttl, signal }) =>
			writeEach(entries, ([key, value]) => storage.setItemRaw(key, value, { ttl }), { signal }),
	};
}

/** Drivers give bytes in different clothes. */
function bytesOf(value) {
	if (value instanceof Uint8Array) return value;
	return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}
