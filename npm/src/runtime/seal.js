// Stores that tell whoever can read them nothing: what KV, the storage tier or Redis holds is another's to read, and to change.
//
// It knows neither rows nor tiers. Its invariant: what is opened was sealed with a key of the secret's under the same store key; anything
// else reads as if it were not there, so that it is a counted miss like every other loss.
//
// A sealed value is `FX`, a version, the length of the key's name, the name, the nonce of 12 bytes, and what AES-256-GCM makes of the value
// with the store key as additional data (NIST SP 800-38D). A nonce is drawn for each value: of 2³² values under one key, two share one with
// a chance of 2⁻³² (8.3 there), so keys are to be changed before that.
//
// A store key is a hash of an entity's key, so whoever can guess ids can tell which are there. A hidden one is half of an HMAC-SHA-256 of it
// (RFC 2104) under a key of its own, which is not changed with the others: what it has named would not be found again.

const MAGIC = [0x46, 0x58, 1];
const NONCE_BYTES = 12;
const KEY_BYTES = 32;
/** How much of a hash a hidden store key has: as much as one that is not hidden. */
const NAME_BYTES = 16;

/** The mark that everything was written, as the core reads it: what a mark may mean that cannot be opened. */
const EVERYTHING = Uint8Array.of(0xff, 0xff);

const encoder = new TextEncoder();

const bytesOf = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

/** Why the keys cannot be used; it says nothing of what they are. */
export class Unusable extends Error {}

const isKey = (text) => typeof text === "string" && /^[A-Za-z0-9+/]{43}=$/.test(text);

/** The fields of the table. */
const FIELDS = ["current", "keys", "hmac_secret"];

function readKeys(table) {
	const unknown = Object.keys(table ?? {}).find((field) => !FIELDS.includes(field));
	// A field that is passed over would leave store keys as they are, which is seen by nobody.
	if (unknown !== undefined) throw new Unusable(`unknown field \`${unknown}\`: \`${FIELDS.join("`, `")}\` are known`);
	const keys = new Map();
	for (const [name, key] of Object.entries(table?.keys ?? {})) {
		if (!/^[\w-]{1,32}$/.test(name) || !isKey(key)) {
			throw new Unusable(`a key must be ${KEY_BYTES} bytes in base64, under a name of letters`);
		}
		keys.set(name, bytesOf(key));
	}
	if (!keys.has(table?.current)) throw new Unusable("`current` names no key");
	const { current, hmac_secret: hmacSecret } = table;
	if (hmacSecret !== undefined && !isKey(hmacSecret))
		throw new Unusable(`\`hmac_secret\` must be ${KEY_BYTES} bytes in base64`);
	return { current, keys, hmacSecret: hmacSecret && bytesOf(hmacSecret) };
}

/** The table that a secret holds. */
export function parse(secret) {
	try {
		return JSON.parse(secret);
	} catch {
		// What JSON's parser says quotes the text.
		throw new Unusable("it is not JSON");
	}
}

/** Seals and opens values with the keys of a table, and hides store keys where it has a key for that. */
export class Seal {
	#current;
	/** @type {Map<string, Promise<CryptoKey>>} */
	#keys = new Map();
	/** @type {Promise<CryptoKey> | undefined} */
	#hmacKey;

	/** @param {{ current: string, keys: Record<string, string>, hmac_secret?: string }} table */
	constructor(table) {
		const { current, keys, hmacSecret } = readKeys(table);
		this.#current = current;
		for (const [name, bytes] of keys) {
			this.#keys.set(name, crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]));
		}
		const algorithm = { name: "HMAC", hash: "SHA-256" };
		this.#hmacKey = hmacSecret && crypto.subtle.importKey("raw", hmacSecret, algorithm, false, ["sign"]);
	}

	/** Whether store keys are hidden. */
	get hides() {
		return this.#hmacKey !== undefined;
	}

	/**
	 * The keys that a store sees in place of these: each keeps its prefix and its length.
	 *
	 * @param {string[]} storeKeys
	 */
	async hidden(storeKeys) {
		const key = await this.#hmacKey;
		if (key === undefined) return storeKeys;
		return Promise.all(
			storeKeys.map(async (storeKey) => {
				const digest = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(storeKey)));
				const digits = Array.from(digest.subarray(0, NAME_BYTES), (byte) => byte.toString(16).padStart(2, "0"));
				return storeKey.slice(0, storeKey.lastIndexOf(":") + 1) + digits.join("");
			}),
		);
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
 * Marks as they were before they were sealed for `place`. One that cannot be opened may mean anything.
 *
 * @param {Seal} seal
 * @param {string} place
 * @param {Uint8Array[]} marks
 * @returns {Promise<Uint8Array[]>}
 */
export function openMarks(seal, place, marks) {
	return Promise.all(marks.map(async (mark) => (await seal.open(place, mark)) ?? EVERYTHING));
}
