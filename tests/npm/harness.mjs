// Worlds for the tests of the npm package: stores that break on demand, and engines that end with their test.

import { createEngine } from "../../build/package/dist/node.js";

/** A store in memory that counts what it is asked and fails as told. */
export class TestStore {
	entries = new Map();
	reads = [];
	writes = [];
	/** What becomes of the next operations: `fail`, `throw`, `hang`, `rubbish`, `short`, `text`, `transferred`, `huge`; nothing for all well. */
	fault;

	async getMany(keys, { signal }) {
		this.reads.push(keys);
		switch (this.fault) {
			case "fail":
				throw new Error("the store is down");
			case "hang":
				return new Promise((resolve) => signal.addEventListener("abort", () => resolve([])));
			case "rubbish":
				return keys.map(() => Uint8Array.of(1, 2, 3));
			case "short":
				return [];
			case "transferred":
				return keys.map(() => {
					const value = Uint8Array.of(1, 2, 3);
					structuredClone(value.buffer, { transfer: [value.buffer] });
					return value;
				});
			case "huge":
				return keys.map(() => new Uint8Array(600_000_000));
			case "text":
				return keys.map(() => "no bytes");
			default:
				return keys.map((key) => this.entries.get(key));
		}
	}

	async setMany(entries, { ttl }) {
		this.writes.push({ keys: entries.map(([key]) => key), ttl });
		if (this.fault === "fail") throw new Error("the store is down");
		for (const [key, value] of entries) this.entries.set(key, value);
	}
}

/**
 * An engine that is closed when its test ends.
 *
 * @param {import("node:test").TestContext} t
 * @param {import("../../npm/types/index.d.ts").EngineOptions} [options]
 */
export async function engineFor(t, options) {
	const engine = await createEngine(options);
	t.after(() => engine.close());
	return engine;
}

/** A function origin that computes `NAME of ENTITY`, and writes down what it is asked. */
export function namingOrigin() {
	const calls = [];
	const origin = (entities, features) => {
		calls.push({ entities, features });
		const [keys] = Object.values(entities);
		return Object.fromEntries(features.map((feature) => [feature, keys.map((key) => `${feature} of ${key}`)]));
	};
	return Object.assign(origin, { calls });
}

export const bytes = (value) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

export const text = (array) => new TextDecoder().decode(array);
