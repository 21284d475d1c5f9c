import type { Store } from "./index.js";

/** The keys of a sealed store, each of 32 bytes in base64. */
export interface StoreKeys {
	/** The one of `keys` that is used for what is written. */
	current: string;
	/** By name: those that what is read may have been written with. */
	keys: Record<string, string>;
	/** What the store's keys are hidden by. It is not changed with the others: what it has named is not found under another. */
	hmac_secret?: string;
}

/**
 * A store that sees nothing in clear: values are encrypted (AES-256-GCM), and with `hmac_secret` its keys are HMACs, which tell nothing to one who can guess
 * ids. What was changed, moved or not written with one of the keys reads as if it were not there. A text is the JSON of {@link StoreKeys}, as the
 * Worker's secret `FEATHEREDGE_STORE_ENCRYPTION_KEYS` has it.
 */
export function sealedStore(store: Store, keys: StoreKeys | string): Store;
