// The page's own reader of JSON, which must show a number as it was sent.

import assert from "node:assert/strict";
import { test } from "node:test";
import { indent, JsonError, lineAndColumn, member, parse, textOf, tokens } from "../../www/src/json.js";

const textAt = (text, ...path) =>
	textOf(
		text,
		path.reduce((value, step) => (typeof step === "number" ? value.items[step] : member(value, step)), parse(text)),
	);

test("numbers keep their text", () => {
	const text = '{"a":[1.0, 9007199254740993,1e2 , -0],"b":{"c":0.10}}';
	assert.equal(textAt(text, "a", 0), "1.0");
	assert.equal(textAt(text, "a", 1), "9007199254740993");
	assert.equal(textAt(text, "a", 2), "1e2");
	assert.equal(textAt(text, "a", 3), "-0");
	assert.equal(textAt(text, "b", "c"), "0.10");
});

test("the tokens of any text are the whole text", () => {
	for (const text of ["", '{"a":1.0}', '{"a":"\\u00e9\\"', "nul [1,,]", '"\u0001"', "🜁{"]) {
		assert.equal([...tokens(text)].map((token) => textOf(text, token)).join(""), text);
	}
});

test("the page's JSON parser accepts what JSON.parse accepts, and refuses what it refuses", () => {
	const right = ["1", "[]", "{}", ' [ {"a":[{}]} , null,true] ', '"\\ud800"', "-0.5E-3"];
	const wrong = [
		"",
		"{",
		"[1,]",
		'{"a"}',
		'{"a":1,}',
		"01",
		"1.",
		"+1",
		"'a'",
		'"\n"',
		"[1] 2",
		"NaN",
		'{"a":1 "b":2}',
	];
	for (const text of right) {
		assert.doesNotThrow(() => JSON.parse(text), text);
		assert.doesNotThrow(() => parse(text), text);
	}
	for (const text of wrong) {
		assert.throws(() => JSON.parse(text), undefined, text);
		assert.throws(() => parse(text), JsonError, text);
	}
});

test("ten thousand brackets are refused, not a crash", () => {
	assert.throws(() => parse("[".repeat(10_000)), JsonError);
});

test("indenting adds space and nothing else", () => {
	const text = '{"a":[1.0,2],"b":[[],{"c":"d, e"}],"f":{}}';
	const indented = indent(text);
	assert.equal(indented, '{\n  "a": [1.0, 2],\n  "b": [\n    [],\n    {\n      "c": "d, e"\n    }\n  ],\n  "f": {}\n}');
	assert.deepEqual(JSON.parse(indented), JSON.parse(text));
});

test("a fault is told by line and column", () => {
	const text = '{\n  "a": ]\n}';
	assert.throws(
		() => parse(text),
		(error) => {
			assert.deepEqual(lineAndColumn(text, error.at), { line: 2, column: 8 });
			return true;
		},
	);
});
