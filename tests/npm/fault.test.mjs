// A trap of the wasm, made by handing the core an address that is not its own.

import assert from "node:assert/strict";
import { test } from "node:test";

let isTrapping = false;

const { Instance } = WebAssembly;
WebAssembly.Instance = function TrappingInstance(...args) {
	const { exports } = new Instance(...args);
	const begin = (core, ...rest) => exports.core_begin_native(isTrapping ? 0xff_ff_ff_f0 : core, ...rest);
	return { exports: { ...exports, core_begin_native: begin } };
};

const { createEngine, FaultError } = await import("../../build/package/dist/node.js");

const REQUEST = { entity_ids: ["a"], feature_names: ["score"] };

test("a trap costs the requests under way in all engines, and no later one", async (t) => {
	const engines = await Promise.all([1, 2].map(() => createEngine({ config: { origin: { delay_ms: 5_000 } } })));
	t.after(() => Promise.all(engines.map((engine) => engine.close())));
	const underWay = engines.map((engine) => engine.serve({ ...REQUEST, entity_ids: ["slow"] }));
	isTrapping = true;
	await assert.rejects(engines[0].serve(REQUEST), FaultError);
	isTrapping = false;
	await assert.rejects(underWay[0], { code: "internal" });
	// The other engine sees it when it is next used.
	const next = engines[1].serve({ entity_ids: [], feature_names: ["score"] });
	await assert.rejects(next, { code: "invalid-field" });
	await assert.rejects(underWay[1], { code: "internal" });
	await assert.rejects(engines[0].serve({ entity_ids: [], feature_names: ["score"] }), { code: "invalid-field" });
});
