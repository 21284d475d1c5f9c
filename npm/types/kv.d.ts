import type { Store } from "./index.js";

/** The part of a Workers KV binding that is used. */
export interface KvNamespace {
	get(keys: string[], type: "text"): Promise<Map<string, string | null>>;
	put(key: string, value: string, options: { expirationTtl: number }): Promise<void>;
}

/** A store in Workers KV, in the format of the Featheredge Worker. Both can share a namespace. */
export function kvStore(namespace: KvNamespace): Store;
