// A trap of the wasm, made by handing the core an address that is not its own, and a panic of Rust's, made by asking for more memory than there can be.

import assert from "node:assert/strict";
import { test } from "node:test";

let isTrapping = false;
let isPanicking = false;
let isTelemetryTrapping = false;

const { Instance } = WebAssembly;
WebAssembly.Instance = function TrappingInstance(...args) {
	const { exports } = new Instance(...args);
	const begin = (core, ...rest) => exports.core_begin_native(isTrapping ? 0xff_ff_ff_f0 : core, ...rest);
	// A buffer of half the address space or more is a `capacity overflow`.
	const input = (core, capacity) => exports.core_input(core, isPanicking ? 0x9000_0000 : capacity);
	const ingest = (core, ...rest) => {
		const at = isTelemetryTrapping ? 0xff_ff_ff_f0 : core;
		isTelemetryTrapping = false;
		return exports.core_ingest_telemetry(at, ...rest);
	};
	return {
		exports: { ...exports, core_begin_native: begin, core_input: input, core_ingest_telemetry: ingest },
	};
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

test("a panic costs the request that met it, and the next is served by a new instance", async (t) => {
	const engine = await createEngine();
	t.after(() => engine.close());
	const before = await engine.serve(REQUEST);
	isPanicking = true;
	// Longer than the room that the core has made, so that it makes more.
	const long = { ...REQUEST, entity_ids: Array.from({ length: 9_000 }, (_, id) => `entity-${id}`) };
	const underWay = engine.serve({ ...REQUEST, entity_ids: ["slow"] });
	const log = t.mock.method(console, "error", () => {});
	await assert.rejects(engine.serve(long), FaultError);
	assert.match(log.mock.calls[0].arguments[0], /^panicked at .*capacity overflow$/s);
	await assert.rejects(underWay, { code: "internal" });
	isPanicking = false;
	const { features } = await engine.serve(REQUEST);
	assert.deepEqual(features, before.features);
	assert.equal(Object.keys((await engine.serve(long)).features).length, 9_000);
});

test("a trap in telemetry is a fault to who asked for a report, and the next report is given", async (t) => {
	const engine = await createEngine();
	t.after(() => engine.close());
	await engine.serve(REQUEST);
	for (const report of ["metrics", "stats"]) {
		isTelemetryTrapping = true;
		await assert.rejects(engine[report](), FaultError);
		assert.ok(await engine[report]());
	}
	isTelemetryTrapping = true;
	assert.equal((await engine.fetch(new Request("http://localhost/v1/stats"))).status, 500);
});
