// The documents' sentences and lines are short.

import assert from "node:assert/strict";
import { test } from "node:test";
import { files, read } from "./documents.mjs";
import { longLines, medianLength, sentences } from "./sentences.mjs";

const RULES = JSON.parse(read("tests/docs/sentences.json"));
const DOCUMENTS = files("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "docs/*.md");

const counted = (text) => sentences(text).map(({ words }) => words);

test("sentences end at full stops and paragraphs, and not at abbreviations or versions", () => {
	assert.deepEqual(counted("One two three. Four\nfive! Six: seven eight\n\nNine ten"), [3, 2, 3, 2]);
	assert.deepEqual(counted("Use e.g. Node 20.19 or J. Doe's. (Yes.)"), [7, 1]);
});

test("code, links and addresses count by what is read", () => {
	assert.deepEqual(
		counted("Run `npm run docs -- --serve` by **hand**, see [the long guide](a/b.md#c) and <https://a.b/c>."),
		[10],
	);
	assert.deepEqual(counted("![an image of it](a.png) A word <br> more"), [3]);
});

test("items and cells stand alone; headings, code, comments and front matter are no sentences", () => {
	assert.deepEqual(counted("- one two\n- three\n  four five\n\n1. six"), [2, 3, 1]);
	assert.deepEqual(counted("| a b | c |\n|---|---|\n| d. e f | `g h` |"), [2, 1, 1, 2, 1]);
	const nothing =
		"---\nlayout: home page\n---\n# Head line\n\n```sh\nnot this\n```\n\n<!-- nor\nthis -->\n\n[a]: b.md\n";
	assert.deepEqual(sentences(nothing), []);
	assert.deepEqual(sentences(`${nothing}\nBut this.`), [{ line: 15, text: "But this.", words: 2, loose: false }]);
});

test("the middle is that of sentences, whatever tables and lists of words hold", () => {
	const text = "One two three. One.\n\nOne two three four five.\n\n| a | b |\n|---|---|\n| c | d. |\n\n- e\n- f\n";
	assert.equal(medianLength(sentences(text)), 3);
	assert.equal(medianLength(sentences(`${text}\nOne two three four five six:`)), 5);
	assert.equal(medianLength([]), 0);
});

test("a line is too long past its columns, unless it is one address", () => {
	const long = "x".repeat(111);
	const lines = ["é".repeat(110), long, `[a]: https://${long}`, `https://${long}`, `see https://${long}`];
	assert.deepEqual(
		longLines(lines.join("\n"), 110).map(({ line }) => line),
		[2, 5],
	);
});

test("the documents keep to the rules", () => {
	const found = [];
	const used = new Set();
	const note = (file, rule, text, message) => {
		const exception = RULES.exceptions.find(
			(one) => one.file === file && one.rule === rule && text.includes(one.text ?? ""),
		);
		if (exception === undefined) found.push(`${file}${message}`);
		else used.add(exception);
	};
	for (const file of DOCUMENTS) {
		const text = read(file);
		const all = sentences(text);
		const middle = medianLength(all);
		if (middle > RULES.sentences.median) note(file, "median", "", `: the median of its sentences has ${middle} words`);
		for (const { line, words, text } of all) {
			if (words > RULES.sentences.longest)
				note(file, "longest", text, `:${line}: a sentence of ${words} words: ${text}`);
		}
		for (const { line, columns, text: long } of longLines(text, RULES.columns)) {
			note(file, "columns", long, `:${line}: a line of ${columns} columns`);
		}
		const lines = text.split("\n").length - 1;
		if (lines >= (RULES.lines[file] ?? Number.POSITIVE_INFINITY)) note(file, "lines", "", `: ${lines} lines`);
	}
	assert.equal(found.length, 0, `${found.length} findings:\n${found.join("\n")}`);
	const unused = RULES.exceptions.filter((exception) => !used.has(exception));
	assert.deepEqual(unused, [], "exceptions that nothing needs");
	assert.deepEqual(
		RULES.exceptions.filter(({ reason }) => !reason),
		[],
		"exceptions without a reason",
	);
});
