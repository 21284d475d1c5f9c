// What an origin's function returns: mistakes are errors, and never values.

import assert from "node:assert/strict";
import { test } from "node:test";
import { OriginError } from "../../build/package/dist/node.js";
import { engineFor } from "./harness.mjs";

const asked = { entity_ids: [1, 2], feature_names: ["a"], include: ["status"] };

/** The values and statuses of the feature `a`, computed by a function that returns `column` for it. */
async function served(t, column) {
	const engine = await engineFor(t, { origin: () => ({ a: column }) });
	const { features } = await engine.serve(asked);
	return [features[1].a, features[2].a];
}

const present = (...values) => values.map((value) => ({ value, status: "PRESENT" }));

test("promises in place of a column or of its values are awaited", async (t) => {
	assert.deepEqual(await served(t, Promise.resolve([1, 2])), present(1, 2));
	assert.deepEqual(await served(t, [Promise.resolve(1), 2]), present(1, 2));
	const missing = await served(t, [Promise.resolve(null), Promise.resolve(undefined)]);
	assert.deepEqual(
		missing.map(({ status }) => status),
		["NULL_VALUE", "NOT_FOUND"],
	);
});

test("a rejected promise in a column fails the request with its reason as the cause", async (t) => {
	const fault = new Error("row 2 is broken");
	await assert.rejects(served(t, [1, Promise.reject(fault)]), (error) => error.cause === fault);
});

test("numbers that JSON lacks are served as Feast's texts", async (t) => {
	assert.deepEqual(await served(t, [Number.NaN, Number.POSITIVE_INFINITY]), present("NaN", "Infinity"));
	assert.deepEqual(
		await served(t, [[1, Number.NEGATIVE_INFINITY], { x: Number.NaN }]),
		present([1, "-Infinity"], { x: "NaN" }),
	);
	assert.deepEqual(await served(t, new Float64Array([Number.NaN, 1])), present("NaN", 1));
});

test("a date is its text, and a typed array a vector", async (t) => {
	assert.deepEqual(await served(t, [new Date(0), new Float32Array([0.5])]), present("1970-01-01T00:00:00.000Z", [0.5]));
});

for (const [name, returned, message] of [
	["an array of rows", [{ a: 1 }, { a: 2 }], /returned an array of rows: return columns, such as/],
	["an array", [1, 2], /returned an array: return columns/],
	["a Map", new Map([["a", [1, 2]]]), /returned a Map: return columns/],
	["a text", "a", /returned a string: return columns/],
	["nothing", undefined, /returned undefined: return columns/],
	["a column that is a text", { a: "12" }, /returned a string as the values of `a`: return columns/],
	["a column that is null", { a: null }, /returned null as the values of `a`/],
	["a column that is one value", { a: 1 }, /returned a number as the values of `a`/],
	["a column of functions", { a: [() => 1, 2] }, /returned a function for `a` of entity 0: JSON cannot hold it/],
	["a symbol in a value", { a: [1, { x: Symbol("x") }] }, /returned a symbol for `a` of entity 1/],
	["a Map as a value", { a: [1, new Map([[1, 2]])] }, /returned a Map for `a` of entity 1/],
]) {
	test(`${name} is an error that says what was given and what is wanted`, async (t) => {
		const engine = await engineFor(t, { origin: () => returned });
		await assert.rejects(engine.serve(asked), (error) => {
			assert.ok(error instanceof OriginError);
			assert.match(error.message, message);
			return true;
		});
	});
}

test("a feature with the name of an object's own method is a feature", async (t) => {
	const names = ["constructor", "toString", "__proto__", "hasOwnProperty"];
	const engine = await engineFor(t, { origin: () => ({ a: [1] }) });
	const { features } = await engine.serve({ entity_ids: [1], feature_names: names, include: ["status"] });
	for (const name of names) {
		assert.equal(Object.getOwnPropertyDescriptor(features[1], name).value.status, "NOT_FOUND", name);
	}
});
