// The words that the project no longer uses are gone from its code and documents.

import assert from "node:assert/strict";
import { test } from "node:test";
import { files, read } from "./documents.mjs";
import { nameOf, wordSearch } from "./words.mjs";

const LIST = JSON.parse(read("tests/docs/words.json"));
/** What is not written by us, or not to be read. */
const SKIPPED = [":!fuzz/corpus", ":!tests/conformance", ":!tests/compat", ":!*lock*", ":!*.zst", ":!*.jpg", ":!*.svg"];

const find = (words, file, text, exceptions = []) => wordSearch({ words, exceptions }).find(file, text);

test("a planted name is found whole, with its file, its line and what to write", () => {
	const words = [{ old: "grace_seconds", write: "stale_if_error_seconds" }];
	assert.deepEqual(find(words, "a.rs", "\nlet grace_seconds = 1;\n"), [
		'a.rs:2: "grace_seconds", write stale_if_error_seconds',
	]);
	assert.deepEqual(find(words, "a.rs", "let my_grace_seconds = GRACE_SECONDS + grace_seconds_left;"), []);
});

test("a word that is nothing else is found as a part of names, too", () => {
	const words = [{ old: "ledger", part: true, write: "invalidation log" }];
	assert.equal(find(words, "a.rs", "let (ledgerTime, has_ledger, Ledger);").length, 3);
});

test("a phrase is found in any case, across lines and comments", () => {
	const words = [{ old: "whoever watches", write: "telemetry" }];
	assert.equal(find(words, "a.md", "Whoever\nwatches.").length, 1);
	assert.equal(find(words, "a.rs", "// to whoever\n    // watches").length, 1);
	assert.equal(find(words, "a.md", "whoever it is watches").length, 0);
});

test("an ordinary word is found where it is declared as a name, and nowhere else", () => {
	const words = [{ old: "gather", before: "fn|mod|Kind::", write: "record_outcomes" }];
	assert.equal(find(words, "a.rs", "pub fn gather(self) {}\nmod gather;\nlet it = Kind::gather;").length, 3);
	assert.equal(find(words, "a.rs", "// They gather.\nfn gather_all() {}\nlet gather = 1;").length, 0);
	assert.equal(find(words, "a.md", "fn gather").length, 0);
});

test("a key of the configuration is found in every notation", () => {
	const words = [{ key: "auth.open", write: "auth.anonymous_scopes" }];
	for (const text of ["`auth.open`", "[auth]\nopen = []", "auth: { open: [] }", '{"auth":{"open":[]}}']) {
		assert.equal(find(words, "a.md", text).length, 1, text);
	}
	assert.equal(find(words, "a.md", "auth is for an open service; auth.opened").length, 0);
});

test("a word holds where its entry says", () => {
	const of = (place) => [{ old: "seed", write: "x", ...(place && { in: place }) }];
	for (const [place, ...found] of [
		[undefined, 1, 1],
		["code", 1, 0],
		["documents", 0, 1],
		["files", 0, 0],
	]) {
		assert.deepEqual([find(of(place), "a.rs", "seed").length, find(of(place), "a.md", "seed").length], found, place);
	}
	assert.deepEqual(find(of("files"), "crates/seed/a.rs", ""), ['crates/seed/a.rs: "seed", write x']);
	assert.deepEqual(find(of("files"), "crates/seeds/my-seed.rs", ""), []);
});

test("an exception covers its files and words alone, and one that nothing needs is told", () => {
	const words = [
		{ old: "desk", write: "wasm_memory" },
		{ old: "untold", write: "unacked" },
	];
	const exceptions = [
		{ files: "old/**", words: ["desk"], reason: "why" },
		{ files: "none/**", reason: "why" },
	];
	const search = wordSearch({ words, exceptions });
	assert.deepEqual(search.find("old/a.rs", "desk"), []);
	assert.equal(search.find("old/a.rs", "untold").length, 1);
	assert.equal(search.find("new/old.rs", "desk").length, 1);
	assert.deepEqual(search.unused(), ["none/**"]);
});

test("each entry of the list finds its own word, and each exception has a reason", () => {
	for (const word of LIST.words) {
		assert.ok(word.write, nameOf(word));
		if (word.pattern !== undefined) continue;
		const text = word.before ? `${word.before.split("|")[0]} ${word.old}` : (word.old ?? word.key);
		const file = word.in === "files" ? `src/${word.old}` : word.in === "documents" ? "a.md" : "a.rs";
		assert.ok(find([word], file, text).length > 0, nameOf(word));
	}
	const names = LIST.words.map(nameOf);
	assert.equal(new Set(LIST.words.map((word) => `${word.in} ${nameOf(word)}`)).size, names.length, "one word twice");
	for (const { files, words = [], reason } of LIST.exceptions) {
		assert.ok(reason, files);
		for (const word of words) assert.ok(names.includes(word), `${word}, excepted for ${files}, is no word of the list`);
	}
});

test("code and documents have none of the words that were replaced", () => {
	const search = wordSearch(LIST);
	const found = files(".", ...SKIPPED).flatMap((file) => search.find(file, read(file)));
	assert.equal(found.length, 0, `${found.length} words to replace:\n${found.join("\n")}`);
	assert.deepEqual(search.unused(), [], "exceptions that nothing needs");
});
