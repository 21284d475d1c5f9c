// Stores whose values are encrypted: what KV and the storage tier hold is another's to read, and to change.
//
// It knows neither rows nor tiers. Its invariant: what is opened was sealed with a key of the secret's under the same store key; anything
// else reads as if it were not there, so that it is a counted miss like every other loss.
//
// A sealed value is `FX`, a version, the length of the key's name, the name, the nonce of 12 bytes, and what AES-256-GCM makes of the value
// with the store key as additional data (NIST SP 800-38D). A nonce is drawn for each value: of 2³² values under one key, two share one with
// a chance of 2⁻³² (8.3 there), so keys are to be changed before that.

/** The keys, in JSON: `{"current": name, "keys": {name: 32 bytes in base64}}`. */
const KEYS = "FEATHEREDGE_STORE_KEYS";

const MAGIC = [0x46, 0x58, 1];
const NONCE_BYTES = 12;
const KEY_BYTES = 32;

const encoder = new TextEncoder();

const bytesOf = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

/** How many bytes become text in one call: the engine's stack bounds the number of arguments. */
const SLICE = 8_192;

function base64Of(bytes) {
	let text = "";
	for (let at = 0; at < bytes.length; at += SLICE) text += String.fromCharCode(...bytes.subarray(at, at + SLICE));
	return btoa(text);
}

/** Why the keys cannot be used; it says nothing of what they are. */
class Unusable extends Error {}

function readKeys(secret) {
	let table;
	try {
		table = JSON.parse(secret);
	} catch {
		throw new Unusable(`the secret \`${KEYS}\` cannot be used: it is not JSON`);
	}
	const keys = new Map();
	for (const [name, key] of Object.entries(table?.keys ?? {})) {
		const isNamed = /^[\w-]{1,32}$/.test(name);
		if (!isNamed || !/^[\w+/]{43}=$/.test(key)) {
			throw new Unusable(
				`the secret \`${KEYS}\` cannot be used: a key must be ${KEY_BYTES} bytes in base64, under a name of letters`,
			);
		}
		keys.set(name, bytesOf(key));
	}
	if (!keys.has(table?.current)) throw new Unusable(`the secret \`${KEYS}\` cannot be used: \`current\` names no key`);
	return { current: table.current, keys };
}

/** Seals and opens values with the keys of a secret. */
export class Seal {
	#current;
	/** @type {Map<string, Promise<CryptoKey>>} */
	#keys = new Map();

	/** @param {string} secret */
	constructor(secret) {
		const { current, keys } = readKeys(secret);
		this.#current = current;
		for (const [name, bytes] of keys) {
			this.#keys.set(name, crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]));
		}
	}

	/**
	 * @param {string} storeKey
	 * @param {Uint8Array} value
	 */
	async seal(storeKey, value) {
		const name = encoder.encode(this.#current);
		const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
		const algorithm = { name: "AES-GCM", iv: nonce, additionalData: encoder.encode(storeKey) };
		const text = new Uint8Array(await crypto.subtle.encrypt(algorithm, await this.#keys.get(this.#current), value));
		return Uint8Array.from([...MAGIC, name.length, ...name, ...nonce, ...text]);
	}

	/**
	 * The value, or `undefined` where it was not sealed here for this store key.
	 *
	 * @param {string} storeKey
	 * @param {Uint8Array} sealed
	 */
	async open(storeKey, sealed) {
		if (!MAGIC.every((byte, at) => sealed[at] === byte)) return undefined;
		const begin = MAGIC.length + 1;
		const end = begin + sealed[MAGIC.length];
		const key = await this.#keys.get(String.fromCharCode(...sealed.subarray(begin, end)));
		if (key === undefined) return undefined;
		const iv = sealed.subarray(end, end + NONCE_BYTES);
		const algorithm = { name: "AES-GCM", iv, additionalData: encoder.encode(storeKey) };
		try {
			return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, sealed.subarray(end + NONCE_BYTES)));
		} catch {
			return undefined;
		}
	}
}

/** A KV namespace whose values are sealed: the core's base64 goes in and comes out. */
function sealedNamespace(seal, kv) {
	return {
		async get(keys) {
			const found = await kv.get(keys);
			const open = async ([key, text]) => {
				if (text === null) return [key, null];
				// What is no base64 was not sealed here.
				const sealed = /^[\w+/]*={0,2}$/.test(text) && text.length % 4 === 0 ? bytesOf(text) : new Uint8Array();
				const value = await seal.open(key, sealed);
				return [key, value === undefined ? null : base64Of(value)];
			};
			return new Map(await Promise.all([...found].map(open)));
		},
		async put(key, text, options) {
			await kv.put(key, base64Of(await seal.seal(key, bytesOf(text))), options);
		},
	};
}

/**
 * The stores of a deployment as its secret has them: encrypted where there is one, else as they are.
 *
 * @param {Record<string, any>} env
 */
export function storesOf(env) {
	const secret = env[KEYS];
	if (secret === undefined) return { env, seal: undefined, fault: undefined };
	try {
		const seal = new Seal(secret);
		const binding = env.FEATHEREDGE?.l2?.binding ?? "FEATURES";
		const kv = env[binding];
		return { env: kv === undefined ? env : { ...env, [binding]: sealedNamespace(seal, kv) }, seal, fault: undefined };
	} catch (error) {
		if (!(error instanceof Unusable)) throw error;
		return { env, seal: undefined, fault: error.message };
	}
}
