// Ids of a request that JSON cannot hold are errors: as null they would all share one row.

import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestError } from "../../build/package/dist/node.js";
import { engineFor, namingOrigin } from "./harness.mjs";

for (const [name, id, fault] of [
	["NaN", Number.NaN, /`entity_ids\[1\]` is NaN/],
	["infinity", Number.POSITIVE_INFINITY, /`entity_ids\[1\]` is Infinity/],
	["undefined", undefined, /`entity_ids\[1\]` is undefined/],
	["a function", () => 1, /`entity_ids\[1\]` is a function/],
	["a symbol", Symbol("id"), /`entity_ids\[1\]` is a symbol/],
	["a Buffer", Buffer.from("id"), /`entity_ids\[1\]` is bytes: write it as a text/],
	["an invalid date", new Date(Number.NaN), /`entity_ids\[1\]` is an invalid date/],
]) {
	test(`an id that is ${name} is a RequestError, in every call`, async (t) => {
		const engine = await engineFor(t, { origin: namingOrigin().origin });
		const isRefused = (error) => {
			assert.ok(error instanceof RequestError);
			assert.equal(error.status, 422);
			assert.match(error.message, fault);
			return true;
		};
		const request = { entity_ids: ["a", id], feature_names: ["score"] };
		await assert.rejects(engine.serve(request), isRefused);
		await assert.rejects(engine.columns(request), isRefused);
		await assert.rejects(engine.prefetch(request), isRefused);
		await assert.rejects(engine.stream(request).next(), isRefused);
	});
}

test("an id in a column of entities is named with the column", async (t) => {
	const engine = await engineFor(t);
	const request = { entities: { user: [1], item: [Number.NaN] }, feature_names: ["score"] };
	await assert.rejects(engine.serve(request), { name: "RequestError", message: "`entities.item[0]` is NaN" });
});

test("a date is its ISO text", async (t) => {
	const engine = await engineFor(t);
	const { features } = await engine.serve({ entity_ids: [new Date(0)], feature_names: ["score"] });
	assert.deepEqual(Object.keys(features), ["1970-01-01T00:00:00.000Z"]);
});

test("a request with a cycle is a RequestError", async (t) => {
	const engine = await engineFor(t);
	const request = { entity_ids: ["a"], feature_names: ["score"] };
	request.self = request;
	await assert.rejects(engine.serve(request), { name: "RequestError", message: /the request is no JSON: .*circular/ });
});
