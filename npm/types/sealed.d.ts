import type { Store } from "./index.js";

/** The keys of a sealed store, each of 32 bytes in base64. */
export interface StoreKeys {
	/** The name of the key in `keys` that encrypts new values. */
	current: string;
	/** By name: the keys that stored values may be encrypted with. */
	keys: Record<string, string>;
	/**
	 * The secret of the HMACs that replace the store's keys. Rows stored under another secret are
	 * not found, so it is not rotated with the others.
	 */
	hmac_secret?: string;
}

/**
 * A store that contains no plaintext: values are encrypted (AES-256-GCM), and with `hmac_secret`
 * its keys are HMACs, which reveal nothing to a reader who can guess ids. A value that was altered,
 * moved or encrypted with an unknown key reads as missing. A string is the JSON of {@link
 * StoreKeys}, as in the Worker's secret `FEATHEREDGE_STORE_ENCRYPTION_KEYS`.
 */
export function sealedStore(store: Store, keys: StoreKeys | string): Store;
