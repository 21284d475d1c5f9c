// The module's memory stays as it is, however many requests wait for something.

import assert from "node:assert/strict";
import { test } from "node:test";

/** Every memory that a module of this process has, for the package shows none. */
const memories = [];
WebAssembly.Instance = class extends WebAssembly.Instance {
	constructor(...args) {
		super(...args);
		if (this.exports.memory !== undefined) memories.push(this.exports.memory);
	}
};

const { createEngine } = await import("../../build/package/dist/node.js");

test("requests that waited for the origin leave nothing behind", async (t) => {
	const engine = await createEngine({
		origin: ({ user_id: ids }) => ({ age: ids.map(() => 1) }),
		config: { l1: { max_entries: 10 }, views: { users: { join_keys: ["user_id"] } } },
	});
	t.after(() => engine.close());
	let next = 0;
	const serve = async (count) => {
		for (let call = 0; call < count; call++) {
			await engine.serve({ entities: { user_id: [next++] }, feature_names: ["users:age"] });
		}
	};
	await serve(4_000);
	const held = memories.map(({ buffer }) => buffer.byteLength);
	await serve(16_000);
	assert.deepEqual(
		memories.map(({ buffer }) => buffer.byteLength),
		held,
	);
});
