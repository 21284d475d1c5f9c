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

/**
 * The seal of a deployment's stores as its secret has it; none where they are as they are.
 *
 * @param {Record<string, any>} env
 */
export function sealOf(env) {
	const secret = env[KEYS];
	if (secret === undefined) return { seal: undefined, fault: undefined };
	try {
		return { seal: new Seal(secret), fault: undefined };
	} catch (error) {
		if (!(error instanceof Unusable)) throw error;
		return { seal: undefined, fault: error.message };
	}
}
