import type { Store } from "./index.js";

/** What is used of a storage of unstorage. */
export interface RawStorage {
	// biome-ignore lint/suspicious/noExplicitAny: as unstorage has it
	getItemRaw(key: string): Promise<any>;
	// biome-ignore lint/suspicious/noExplicitAny: as unstorage has it
	setItemRaw(key: string, value: any, options?: any): Promise<void>;
}

/** A store over what unstorage's `createStorage` gives, whatever its driver. */
export function unstorageStore(storage: RawStorage): Store;
