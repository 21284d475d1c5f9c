// Encryption of stored values and pseudonyms of store keys: others may read and alter KV, the storage tier
// or Redis.
//
// It knows neither rows nor tiers. Invariant: only a value that was sealed with a key of the secret under
// the same store key opens; any other reads as missing, so that it is a counted miss.
//
// A sealed value is `FX`, a version, the length of the key's name, the name, a nonce of 12 bytes, and the
// AES-256-GCM ciphertext of the value with the store key as additional data (NIST SP 800-38D). Nonces are
// random: among 2³² values under one key, two share a nonce with probability 2⁻³² (8.3 there), so keys must
// be rotated before that.
//
// A store key is a hash of an entity's key, so a reader who guesses ids can tell which are stored. A
// pseudonym is half of its HMAC-SHA-256 (RFC 2104) under a separate key. That key is not rotated: rows under
// other pseudonyms would not be found.

const MAGIC = [0x46, 0x58, 1];
const NONCE_BYTES = 12;
const KEY_BYTES = 32;
/** The bytes of a pseudonym, as many as those of a store key's hash. */
const PSEUDONYM_BYTES = 16;

/** An invalidation of everything, in the core's encoding. */
const INVALIDATE_ALL = Uint8Array.of(0xff, 0xff);

const encoder = new TextEncoder();

const bytesOf = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

/** The keys are invalid; the message does not quote them. */
export class InvalidKeysError extends Error {}

const isKey = (text) => typeof text === "string" && /^[A-Za-z0-9+/]{43}=$/.test(text);

/** The fields of the secret. */
const FIELDS = ["current", "keys", "hmac_secret"];

function readKeys(table) {
	const unknown = Object.keys(table ?? {}).find((field) => !FIELDS.includes(field));
	// A misspelled field must not leave store keys in clear silently.
	if (unknown !== undefined)
		throw new InvalidKeysError(`unknown field \`${unknown}\`: \`${FIELDS.join("`, `")}\` are known`);
	const keys = new Map();
	for (const [name, key] of Object.entries(table?.keys ?? {})) {
		if (!/^[\w-]{1,32}$/.test(name) || !isKey(key)) {
			throw new InvalidKeysError(`a key must be ${KEY_BYTES} bytes in base64, under a name of letters`);
		}
		keys.set(name, bytesOf(key));
	}
	if (!keys.has(table?.current)) throw new InvalidKeysError("`current` names no key");
	const { current, hmac_secret: hmacSecret } = table;
	if (hmacSecret !== undefined && !isKey(hmacSecret))
		throw new InvalidKeysError(`\`hmac_secret\` must be ${KEY_BYTES} bytes in base64`);
	return { current, keys, hmacSecret: hmacSecret && bytesOf(hmacSecret) };
}

/** The keys of a secret in JSON. */
export function parse(secret) {
	try {
		return JSON.parse(secret);
	} catch {
		// The parser's message would quote the secret.
		throw new InvalidKeysError("it is not JSON");
	}
}

/** Encrypts and decrypts values, and pseudonymizes store keys if the secret has an HMAC key. */
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

	/** Whether store keys are replaced by pseudonyms. */
	get pseudonymizesKeys() {
		return this.#hmacKey !== undefined;
	}

	/**
	 * The pseudonyms of store keys, or the keys themselves without an HMAC key. A pseudonym has its key's prefix and length.
	 *
	 * @param {string[]} storeKeys
	 */
	async pseudonyms(storeKeys) {
		const key = await this.#hmacKey;
		if (key === undefined) return storeKeys;
		return Promise.all(
			storeKeys.map(async (storeKey) => {
				const digest = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(storeKey)));
				const digits = Array.from(digest.subarray(0, PSEUDONYM_BYTES), (byte) => byte.toString(16).padStart(2, "0"));
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
	 * The value, or `undefined` if it was not sealed by these keys for this store key.
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
 * Decrypts invalidations that were sealed for `context`. One that cannot be decrypted may mean anything, so it invalidates everything.
 *
 * @param {Seal} seal
 * @param {string} context
 * @param {Uint8Array[]} invalidations
 * @returns {Promise<Uint8Array[]>}
 */
export function openInvalidations(seal, context, invalidations) {
	return Promise.all(
		invalidations.map(async (invalidation) => (await seal.open(context, invalidation)) ?? INVALIDATE_ALL),
	);
}
