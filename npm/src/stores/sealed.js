// A store that encrypts the values of another, and replaces its keys by HMACs if it has a secret for them.
// The format is that of the Featheredge Worker, so that both can share a store.

import { InvalidKeysError, parse, Seal } from "../runtime/seal.js";

function sealOf(keys) {
	try {
		return new Seal(typeof keys === "string" ? parse(keys) : keys);
	} catch (error) {
		throw error instanceof InvalidKeysError ? new TypeError(`the keys are invalid: ${error.message}`) : error;
	}
}

const bytesOf = (value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : value);

/** A store over `store`, which contains no plaintext. */
export const sealedStore = (store, keys) => sealedBy(store, sealOf(keys));

/**
 * The same with an existing seal.
 *
 * @param {import("../runtime/runtime.js").Store} store
 * @param {Seal} seal
 */
export function sealedBy(store, seal) {
	return {
		pseudonymizesKeys: seal.pseudonymizesKeys,
		async getMany(keys, options) {
			const names = await seal.pseudonyms(keys);
			const values = await store.getMany(names, options);
			return Promise.all(values.map((value, at) => value && seal.open(names[at], bytesOf(value))));
		},
		async setMany(entries, options) {
			const names = await seal.pseudonyms(entries.map(([key]) => key));
			const sealed = await Promise.all(entries.map(([, value], at) => seal.seal(names[at], value)));
			return store.setMany(
				names.map((name, at) => [name, sealed[at]]),
				options,
			);
		},
	};
}
