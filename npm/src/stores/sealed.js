// A store before another that sees values encrypted, and with a key for names keys that nobody can guess: in the form that the Featheredge Worker
// uses too, so that both can share a store.

import { parse, Seal, Unusable } from "../runtime/seal.js";

function sealOf(keys) {
	try {
		return new Seal(typeof keys === "string" ? parse(keys) : keys);
	} catch (error) {
		throw error instanceof Unusable ? new TypeError(`the keys cannot be used: ${error.message}`) : error;
	}
}

const bytesOf = (value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : value);

/** `store`, which sees nothing in clear. */
export const sealedStore = (store, keys) => sealedBy(store, sealOf(keys));

/**
 * The same with a seal that is there.
 *
 * @param {import("../runtime/runtime.js").Store} store
 * @param {Seal} seal
 */
export function sealedBy(store, seal) {
	return {
		hidesKeys: seal.hides,
		async getMany(keys, options) {
			const names = await seal.hidden(keys);
			const values = await store.getMany(names, options);
			return Promise.all(values.map((value, at) => value && seal.open(names[at], bytesOf(value))));
		},
		async setMany(entries, options) {
			const names = await seal.hidden(entries.map(([key]) => key));
			const sealed = await Promise.all(entries.map(([, value], at) => seal.seal(names[at], value)));
			return store.setMany(
				names.map((name, at) => [name, sealed[at]]),
				options,
			);
		},
	};
}
