import assert from "node:assert/strict";
import { test } from "node:test";
import binaryen from "binaryen";
import { silence } from "../../scripts/lib/silence.mjs";

const { none } = binaryen;

const INVOKE = "wasm_bindgen::convert::closures::_::invoke";
const PANIC = "core[1a2b]::panicking::panic_fmt";

/** What becomes of a module with functions of these names, of which each does something, and with these bytes. */
async function silenced(names, exported, bytes) {
	const module = new binaryen.Module();
	const data = { offset: module.i32.const(ADDRESS), data: bytes, passive: false };
	module.setMemory(1, 1, "memory", [data]);
	for (const name of names) {
		module.addFunction(name, none, none, [], module.i32.store(0, 4, module.i32.const(0), module.i32.const(1)));
	}
	for (const name of exported) module.addFunctionExport(name, name);
	binaryen.setDebugInfo(true);
	const given = binaryen.readBinary(await silence(module.emitBinary()));
	const bodyOf = (name) => binaryen.getFunctionInfo(given.getFunction(name)).body;
	return {
		trapping: names.filter((name) => binaryen.getExpressionId(bodyOf(name)) === binaryen.UnreachableId),
		bytes: Buffer.from(given.getDataSegmentInfo(given.getDataSegmentByIndex(0)).data),
	};
}

const ADDRESS = 1_024;

/** Texts, and behind them words of four bytes. */
function dataOf(texts, words) {
	const bytes = Buffer.alloc(64 + words.length * 4);
	for (const [at, text] of texts) bytes.write(text, at);
	for (const [number, word] of words.entries()) bytes.writeUInt32LE(word, 64 + number * 4);
	return bytes;
}

test("what begins a panic and closures that nobody can call are taken out, and nothing else", async () => {
	const called = [`${INVOKE}::h1 externref shim`, `${INVOKE}::h2 externref shim multivalue shim`, `${INVOKE}::h3`];
	const inner = [`${INVOKE}::h1`, `${INVOKE}::h2`, `${INVOKE}::h2 externref shim`];
	const returning = ["std[1a2b]::panicking::catch_unwind::do_call", "std[1a2b]::panicking::panic_count::increase"];
	const uncalled = `${INVOKE}::h4`;
	const names = [PANIC, uncalled, ...called, ...inner, ...returning, "featheredge::serve"];
	const { trapping } = await silenced(names, [...called, "featheredge::serve"], dataOf([], []));
	assert.deepEqual(trapping.toSorted(), [PANIC, uncalled].toSorted());
});

test("places in source files are blanked, and what only looks like one is not", async () => {
	const texts = [
		[0, "src/a.rs"],
		[16, "no place"],
		[32, "src/b.rs"],
	];
	const place = [ADDRESS, 8, 3, 5];
	const ofNoFile = [ADDRESS + 16, 8, 3, 5];
	const ofNoLine = [ADDRESS + 32, 8, 0, 5];
	const before = dataOf(texts, [...place, ...ofNoFile, ...ofNoLine]);
	const { bytes } = await silenced([PANIC], [], before);
	const expected = dataOf(texts.slice(1), [0, 0, 0, 0, ...ofNoFile, ...ofNoLine]);
	assert.deepEqual(bytes, expected);
});

test("a module without any panic is refused: their names must have changed", async () => {
	await assert.rejects(silenced(["featheredge::serve"], [], dataOf([], [])), /names changed/);
});
