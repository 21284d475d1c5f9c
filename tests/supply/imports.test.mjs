import assert from "node:assert/strict";
import { test } from "node:test";
import binaryen from "binaryen";
import { shortenImports } from "../../scripts/lib/imports.mjs";

const { i32, none } = binaryen;

/** A module that imports a function and a number, and tells the one the other. */
function importing() {
	const module = new binaryen.Module();
	module.addFunctionImport("told", "./core_bg.js", "__wbg_told_0123456789abcdef", i32, none);
	module.addGlobalImport("start", "./core_bg.js", "__wbg_start_00", i32, false);
	module.addFunction("tell", none, none, [], module.call("told", [module.global.get("start", i32)], none));
	module.addFunctionExport("tell", "tell");
	return module.emitBinary();
}

const GLUE = `({ "./core_bg.js": {
	__wbg_told_0123456789abcdef: (what) => told.push(what),
	__wbg_start_00: 42,
	__wbg_start_001: 0,
} })`;

test("a module and its JavaScript side get the same short names, and do what they did", () => {
	const { module, script } = shortenImports(importing(), GLUE);
	const names = WebAssembly.Module.imports(new WebAssembly.Module(module)).map(({ name }) => name);
	assert.deepEqual(names.toSorted(), ["i0", "i1"]);
	assert.doesNotMatch(script, /0123456789abcdef|__wbg_start_00\b/);
	assert.match(script, /__wbg_start_001/);
	const told = [];
	const imports = new Function("told", `return ${script}`)(told);
	new WebAssembly.Instance(new WebAssembly.Module(module), imports).exports.tell();
	assert.deepEqual(told, [42]);
});

test("a name that the JavaScript side does not have fails the build", () => {
	assert.throws(() => shortenImports(importing(), "({})"), /no import `__wbg_/);
});
