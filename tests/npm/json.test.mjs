import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, stringify } from "../../npm/src/json.js";

test("whole numbers that a float does not hold are bigint, and all else is as JavaScript reads it", () => {
	const text =
		'{"a":[9007199254740993,-9007199254740993,9007199254740991,1],"b":0.14285714285714285,"c":1e22,"d":"9007199254740993"}';
	const value = parse(text);
	assert.deepEqual(value.a, [9007199254740993n, -9007199254740993n, Number.MAX_SAFE_INTEGER, 1]);
	assert.deepEqual([value.b, value.c, value.d], [1 / 7, 1e22, "9007199254740993"]);
	assert.equal(stringify(value).replace("1e+22", "1e22"), text);
});

test("strings are never numbers, whatever they hold", () => {
	for (const string of [
		'"9007199254740993',
		"\\9007199254740993",
		'a\\"9007199254740993,',
		"\u0000featheredge:integer:5",
	]) {
		assert.deepEqual(parse(JSON.stringify([string, 1])), [string, 1]);
	}
	assert.throws(() => stringify([1n, "\u0000featheredge:integer:5"]), TypeError);
});

test("a circle fails as it does in JavaScript", () => {
	const circle = {};
	circle.of = circle;
	assert.throws(() => stringify(circle), /circular/);
});
