import type { Store } from "./index.js";

/** What is used of a binding of Workers KV. */
export interface KvNamespace {
	get(keys: string[], type: "text"): Promise<Map<string, string | null>>;
	put(key: string, value: string, options: { expirationTtl: number }): Promise<void>;
}

/** A store over a binding of Workers KV, in the form that the Featheredge Worker uses too: both can share a namespace. */
export function kvStore(namespace: KvNamespace): Store;
