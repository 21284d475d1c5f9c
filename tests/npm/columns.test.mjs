import assert from "node:assert/strict";
import { test } from "node:test";
import { STATUSES } from "../../build/package/dist/node.js";
import { range } from "../support/features.mjs";
import { engineFor } from "./harness.mjs";

const asked = (names) => ({ entity_ids: ["a", "b", "c"], feature_names: names });

test("numbers come as typed arrays, with statuses and ages, and what is missing is NaN", async (t) => {
	let now = 1_000_000_000_000;
	const engine = await engineFor(t, { clock: () => now, origin: () => ({ n: [1.5, null, undefined] }) });
	await engine.columns(asked(["n"]));
	now += 250;
	const { rows, columns } = await engine.columns(asked(["n"]));
	assert.equal(rows, 3);
	assert.deepEqual(columns.n.values, Float64Array.of(1.5, Number.NaN, Number.NaN));
	assert.deepEqual(
		Array.from(columns.n.statuses, (status) => STATUSES[status]),
		["PRESENT", "NULL_VALUE", "NOT_FOUND"],
	);
	assert.deepEqual(columns.n.agesMs, Float64Array.of(250, 250, 250));
	assert.equal(columns.n.dimension, 0);
});

test("vectors of one length are one array, and are the same when they come from memory", async (t) => {
	const vectors = [[0.1, 2], [-3e-7, 1e22], null];
	const engine = await engineFor(t, { origin: () => ({ v: vectors }) });
	for (const _ of range(3)) {
		const { columns } = await engine.columns(asked(["v"]));
		assert.equal(columns.v.dimension, 2);
		assert.deepEqual(columns.v.values, Float64Array.of(0.1, 2, -3e-7, 1e22, Number.NaN, Number.NaN));
	}
	const { columns } = await engine.columns(asked(["v"]), { vectors: "float32" });
	assert.deepEqual(columns.v.values.subarray(0, 4), Float32Array.of(0.1, 2, -3e-7, 1e22));
});

test("a vector that is missing first is as long as those that follow", async (t) => {
	const engine = await engineFor(t, { origin: () => ({ v: [null, [1, 2, 3], [4, 5, 6]] }) });
	const { columns } = await engine.columns(asked(["v"]));
	assert.deepEqual(Array.from(columns.v.values), [Number.NaN, Number.NaN, Number.NaN, 1, 2, 3, 4, 5, 6]);
});

test("a column that is not all numbers comes as an array of JavaScript values", async (t) => {
	const given = {
		text: ["x", "é", null],
		mixed: [1, "1", true],
		ragged: [[1], [1, 2], []],
		nested: [[[1]], [[2]], null],
		map: [{ a: 1 }, {}, null],
	};
	const engine = await engineFor(t, { origin: () => given });
	const { columns } = await engine.columns(asked(Object.keys(given)));
	for (const [name, values] of Object.entries(given)) assert.deepEqual(columns[name].values, values, name);
});

test("each number is the one nearest to its text", async (t) => {
	const numbers = range(2_000).map((number) => Math.fround(Math.sin(number) * 10 ** ((number % 60) - 30)));
	const extremes = [5e-324, Number.MAX_VALUE, -0, 0.1 + 0.2, 2 ** 53, 1e-27, 1e300, 123456789012345680000];
	const values = [...numbers, ...extremes];
	const engine = await engineFor(t, { origin: ({ entity_id }) => ({ n: entity_id.map((at) => values[at]) }) });
	const request = { entity_ids: values.map((_, at) => at), feature_names: ["n"] };
	const wide = await engine.columns(request);
	// JSON has no negative zero.
	assert.deepEqual(
		Array.from(wide.columns.n.values),
		values.map((value) => value + 0),
	);
	const narrow = await engine.columns(request, { scalars: "float32" });
	assert.deepEqual(narrow.columns.n.values, Float32Array.from(values.map((value) => value + 0)));
});

test("a feature service's columns are those that its rows have", async (t) => {
	const engine = await engineFor(t);
	const { columns } = await engine.columns({ entity_ids: ["a", "b"], feature_service: "s" });
	assert.deepEqual(Object.keys(columns), ["score", "count", "label", "embedding"]);
	assert.equal(columns.embedding.dimension, 128);
	assert.equal(columns.embedding.values.length, 256);
	assert.equal(typeof columns.label.values[0], "string");
});

test("a request that is at fault is refused as elsewhere", async (t) => {
	const engine = await engineFor(t);
	await assert.rejects(engine.columns({ entity_ids: [], feature_names: ["n"] }), { code: "invalid-field" });
});
