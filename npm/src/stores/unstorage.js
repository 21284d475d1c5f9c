// A store in any driver of unstorage.

import { writeEach } from "./writes.js";

/** A store over the result of unstorage's `createStorage`. */
export function unstorageStore(storage) {
	return {
		getMany: (keys) => Promise.all(keys.map(async (key) => bytesOf(await storage.getItemRaw(key)))),
		// Drivers without expiry keep old rows, which the core treats as expired.
		setMany: (entries, { ttl, signal }) =>
			writeEach(entries, ([key, value]) => storage.setItemRaw(key, value, { ttl }), { signal }),
	};
}

/** Drivers return bytes in different types. */
function bytesOf(value) {
	if (value instanceof Uint8Array) return value;
	return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}
