// A store before another that sees values encrypted, and with a key for names keys that nobody can guess: in the form that the Featheredge Worker
// uses too, so that both can share a store.

import { parse, Seal, Unusable } from "../../../src/host/sealed.mjs";

function sealOf(keys) {
	try {
		return new Seal(typeof keys === "string" ? parse(keys) : keys);
	} catch (error) {
		throw error instanceof Unusable ? new TypeError(`the keys cannot be used: ${error.message}`) : error;
	}
}

const bytesOf = (value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : value);

/** `store`, which sees nothing in clear. */
export function sealedStore(store, keys) {
	const seal = sealOf(keys);
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
