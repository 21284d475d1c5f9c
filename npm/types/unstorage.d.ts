import type { Store } from "./index.js";

/** The part of an unstorage storage that is used. */
export interface RawStorage {
	// biome-ignore lint/suspicious/noExplicitAny: as unstorage has it
	getItemRaw(key: string): Promise<any>;
	// biome-ignore lint/suspicious/noExplicitAny: as unstorage has it
	setItemRaw(key: string, value: any, options?: any): Promise<void>;
}

/** A store over the result of unstorage's `createStorage`, with any driver. */
export function unstorageStore(storage: RawStorage): Store;
