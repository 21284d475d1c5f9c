// Compares answers to the last digit: JavaScript's own JSON would make 1.0 and 1, or 9007199254740993 and …992, the same.

import assert from "node:assert/strict";

const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/** The columns that Feast may echo in the test project: join keys, and their names in the service that renames them. */
const JOIN_KEYS = new Set(["driver_id", "customer_id", "first_driver_id", "second_driver_id"]);

/** Parses JSON and keeps each number as its text, in an object `{ number }`. */
export const parseExact = (text) =>
	JSON.parse(text.replace(STRING_OR_NUMBER, (token) => (token.startsWith('"') ? token : `{"number":"${token}"}`)));

/** An answer of `/get-online-features` by feature name. */
export function readAnswer(text) {
	const { results, metadata, ...more } = parseExact(text);
	const { feature_names: names, ...aboutViews } = metadata;
	assert.equal(results.length, names.length, "one result for each feature name");
	assert.equal(new Set(names).size, names.length, `each feature name stands once: ${names}`);
	const keys = names.filter((name) => JOIN_KEYS.has(name));
	return {
		joinKeys: keys,
		areJoinKeysFirst: names.slice(0, keys.length).every((name) => JOIN_KEYS.has(name)),
		columns: Object.fromEntries(names.map((name, index) => [name, results[index]])),
		aboutViews,
		more,
	};
}

/** That two answers say the same. Within a view Feast's order is that of a Python set, so features are compared by name. */
export function assertSameAnswer(actual, expected, what) {
	const answer = readAnswer(actual);
	assert.ok(answer.areJoinKeysFirst, `${what}: join keys come first`);
	assert.deepEqual(answer, readAnswer(expected), what);
}

/**
 * That two replies say the same: an answer by its values, everything else byte for byte.
 *
 * @param {import("./world.mjs").Reply} actual
 * @param {import("./world.mjs").Reply} expected
 * @param {string} what
 */
export function assertSameReply(actual, expected, what) {
	assert.equal(actual.status, expected.status, `${what}: status; body: ${actual.body}`);
	assert.equal(actual.headers["content-type"], expected.headers["content-type"], `${what}: content type`);
	if (expected.status === 200 && expected.body.startsWith('{"results"'))
		assertSameAnswer(actual.body, expected.body, what);
	else assert.equal(actual.body, expected.body, what);
}
