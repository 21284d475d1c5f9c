// The layers of ARCHITECTURE.md hold: cargo reports which crate uses which, and the JavaScript files what they import.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import ts from "typescript";
import { fromRoot, root } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";

/** Names of the packages whose folders are not in `crates`, by folder. */
const PACKAGES = { src: "featheredge", "src/benchmark": "benchmark-wasm" };

/** Each crate's layer, by the table in ARCHITECTURE.md. A crate uses only crates of lower layers. */
const LAYERS = new Map(
	[...readFileSync(fromRoot("ARCHITECTURE.md"), "utf8").matchAll(/^\| (\d+) \| (.+?) \|/gm)].flatMap(
		([, layer, cell]) =>
			[...cell.matchAll(/`(.+?)\/`/g)].map(([, folder]) => [
				PACKAGES[folder] ?? folder.replace(/^crates\//, ""),
				Number(layer),
			]),
	),
);

/** The folders of packages outside of `crates`. */
const FOLDERS = { featheredge: "", "benchmark-wasm": "src/benchmark" };

/** Crates outside of the layers: they use any other, and none uses them. */
const OUTSIDE = ["bindgen", "fuzz", "scale"];

/** Folders of JavaScript, and the other folders that their files may import from; build results are in `build`. */
const IMPORTS = {
	npm: [],
	docs: [],
	www: ["build"],
	scripts: ["build", "tests/support"],
	benches: ["build", "tests/support"],
	"tests/support": ["build"],
	tests: ["build", "docs", "npm", "tests/support", "www"],
};

/** The files and folders of the index in ARCHITECTURE.md, from the root. */
function indexedPaths() {
	const [, index] = readFileSync(fromRoot("ARCHITECTURE.md"), "utf8").split("## Where things are");
	const list = index.slice(index.indexOf("\n- "));
	const isCrate = (folder) => LAYERS.has(folder) && FOLDERS[folder] === undefined;
	return [...list.matchAll(/`([\w./-]+\/[\w./-]*)`/g)].map(([, path]) => {
		const [folder, ...rest] = path.split("/");
		if (isCrate(folder)) return join("crates", folder, "src", ...rest);
		return existsSync(fromRoot("npm/src", folder)) ? join("npm/src", path) : path;
	});
}

/** A package's name without the common prefix. */
const short = (name) => name.replace(/^featheredge-/, "");

/** The packages of this repository: their folders, and which of them each uses, in its tests too. */
async function crates() {
	const args = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
	const { packages } = JSON.parse(await mustRun("cargo", args, { cwd: root, capture: true }));
	return packages.map(({ name, manifest_path: manifest, dependencies }) => ({
		name: short(name),
		folder: relative(root, dirname(manifest)),
		uses: [...new Set(dependencies.filter(({ path }) => path).map((used) => short(used.name)))],
	}));
}

/** What is wrong with the crates: their layers, and their folders. */
function misplaced(crates) {
	const isBelow = (used, user) => LAYERS.has(used) && (OUTSIDE.includes(user) || LAYERS.get(used) < LAYERS.get(user));
	const faults = [];
	for (const { name, folder, uses } of crates) {
		if (!LAYERS.has(name) && !OUTSIDE.includes(name)) faults.push(`${name} is in no layer`);
		const expected = FOLDERS[name] ?? `crates/${name}`;
		if (LAYERS.has(name) && folder !== expected) faults.push(`${name} is in ${folder}`);
		for (const used of uses.filter((used) => !isBelow(used, name))) faults.push(`${name} uses ${used}`);
		const outer = crates.filter((other) => other.folder !== "" && folder.startsWith(`${other.folder}/`));
		for (const other of outer) faults.push(`${name} is inside ${other.name}`);
	}
	for (const name of LAYERS.keys()) if (!crates.some((crate) => crate.name === name)) faults.push(`no crate ${name}`);
	return faults;
}

/** All JavaScript files of a folder, from the root. */
function filesIn(folder) {
	return readdirSync(fromRoot(folder), { withFileTypes: true }).flatMap((entry) => {
		const path = join(folder, entry.name);
		if (entry.isDirectory()) return ["dist", "node_modules"].includes(entry.name) ? [] : filesIn(path);
		return /\.m?js$/.test(entry.name) ? [path] : [];
	});
}

/** What each file imports of files, static and dynamic. */
function importsOf(files) {
	const relativeImports = (file) => {
		const { importedFiles } = ts.preProcessFile(readFileSync(fromRoot(file), "utf8"), true, true);
		const names = importedFiles.map(({ fileName }) => fileName).filter((name) => name.startsWith("."));
		return [...new Set(names.map((name) => join(dirname(file), name)))];
	};
	return new Map(files.map((file) => [file, relativeImports(file)]));
}

/** Crates with a cycle among their files, each with its reason. Remove the entry when you break the cycle. */
const CYCLES = {
	aggregator: "its root has the aggregator, and reports read it",
	config: "its root has the configuration and its error, and the modules that read and check it use both",
	json: "its root has the kinds of values, and errors name them",
	model: "a row is in a key's space; the row's module has the cost of an allocation and the slots of values",
	telemetry: "a batch of records has the gauges, which are of the records' tiers",
};

/** Rust code without comments, and without the tests in the file. */
function codeOf(text) {
	const [code] = text.split(/#\[cfg\(test\)\]\n(?:pub\(\w+\) )?mod tests \{/);
	return code.replaceAll(/\/\/.*/g, "");
}

/** The paths that a tree of `use` names: `a::{b, c::d}` is `a::b` and `a::c::d`. */
function pathsIn(tree) {
	const open = tree.indexOf("{");
	if (open < 0) return [tree.replace(/\s+as\s+\w+$/, "").trim()];
	let depth = 0;
	const branches = [""];
	for (const letter of tree.slice(open + 1, tree.lastIndexOf("}"))) {
		depth += { "{": 1, "}": -1 }[letter] ?? 0;
		if (letter === "," && depth === 0) branches.push("");
		else branches[branches.length - 1] += letter;
	}
	const named = branches.map((branch) => branch.trim()).filter((branch) => branch !== "");
	return named.flatMap((branch) => pathsIn(tree.slice(0, open).trim() + branch));
}

/**
 * Which files of a crate each of its files uses, by `use` or by a path of `crate::` or `super::`; `files` are the texts
 * by their paths in `src`. The declaration of a module is no use of it.
 */
function usesOf(files) {
	const nameOf = (path) => path.replace(/\.rs$/, "").replace(/^lib$/, "");
	const paths = new Map([...files.keys()].map((path) => [nameOf(path), path]));
	const uses = (path, text) => {
		const code = codeOf(text);
		const trees = [...code.matchAll(/\buse\s+([^;]+);/g)].flatMap(([, tree]) => pathsIn(tree));
		const inline = code.match(/\b(?:crate|super)(?:::\w+)+/g) ?? [];
		const own = nameOf(path) === "" ? [] : nameOf(path).split("/");
		const used = [...trees, ...inline].flatMap((tree) => {
			const steps = tree.split("::");
			const ups = steps.findIndex((step) => step !== "super");
			const isOwn = ["crate", "self", "super"].includes(steps[0]) || paths.has([...own, steps[0]].join("/"));
			if (!isOwn) return [];
			const from = steps[0] === "crate" ? [] : own.slice(0, own.length - Math.max(ups, 0));
			const whole = [...from, ...steps.slice(ups).filter((step) => step !== "crate" && step !== "self")];
			let length = whole.length;
			while (length > 0 && !paths.has(whole.slice(0, length).join("/"))) length -= 1;
			return [paths.get(whole.slice(0, length).join("/"))];
		});
		return [...new Set(used)].filter((other) => other !== undefined && other !== path);
	};
	return new Map([...files].map(([path, text]) => [path, uses(path, text)]));
}

/** The Rust files of a crate, by their paths in its `src`. */
function rustFilesOf(crate) {
	const folder = fromRoot("crates", crate, "src");
	const paths = readdirSync(folder, { recursive: true }).filter((path) => path.endsWith(".rs"));
	return new Map(paths.toSorted().map((path) => [path, readFileSync(join(folder, path), "utf8")]));
}

/** The first cycle; `undefined` if there is none. */
function findCycle(imports) {
	const done = new Set();
	const visit = (file, path) => {
		if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
		if (done.has(file)) return undefined;
		for (const imported of imports.get(file) ?? []) {
			const found = visit(imported, [...path, file]);
			if (found !== undefined) return found;
		}
		done.add(file);
		return undefined;
	};
	for (const file of imports.keys()) {
		const found = visit(file, []);
		if (found !== undefined) return found;
	}
	return undefined;
}

/** The imports from folders that a folder may not import from. */
function strays(imports) {
	const isIn = (file, folder) => file.startsWith(`${folder}/`);
	return [...imports].flatMap(([file, imported]) => {
		const [folder, others] = Object.entries(IMPORTS).find(([folder]) => isIn(file, folder));
		const allowed = [folder, ...others];
		return imported.filter((to) => !allowed.some((folder) => isIn(to, folder))).map((to) => `${file} imports ${to}`);
	});
}

test("a crate uses only crates of lower layers, and is in no other's folder", async () => {
	assert.deepEqual(misplaced(await crates()), []);
});

test("a crate that uses one above or beside it, is inside another or in no layer is found", async () => {
	const known = (await crates()).filter(({ name }) => !["cache", "json", "model"].includes(name));
	const added = [
		{ name: "cache", folder: "crates/cache", uses: ["model", "row-codec"] },
		{ name: "json", folder: "crates/cache/json", uses: ["service"] },
		{ name: "attic", folder: "crates/attic", uses: [] },
	];
	assert.deepEqual(misplaced([...known, ...added]).toSorted(), [
		"attic is in no layer",
		"cache uses row-codec",
		"json is in crates/cache/json",
		"json is inside cache",
		"json uses service",
		"no crate model",
	]);
});

test("every file in the index of the sources exists", () => {
	const paths = indexedPaths();
	assert.ok(paths.length > 80, `${paths.length} are found`);
	assert.deepEqual(
		paths.filter((path) => !existsSync(fromRoot(path))),
		[],
	);
});

test("JavaScript imports have no cycle, and each folder imports only from those named for it", () => {
	const imports = importsOf(Object.keys(IMPORTS).flatMap(filesIn));
	assert.ok(imports.size > 200 && [...imports.values()].flat().length > 400, "files and imports are found");
	assert.equal(findCycle(imports)?.join(" -> "), undefined);
	assert.deepEqual(strays(imports), []);
});

test("a cycle of imports is found, and an import from a folder that is not named", () => {
	const cycle = ["npm/src/a.js", "npm/src/b.js", "npm/src/c.js"];
	const imports = new Map(cycle.map((file, number) => [file, [cycle[(number + 1) % cycle.length], "npm/src/d.js"]]));
	assert.deepEqual(findCycle(imports), [...cycle, cycle[0]]);
	assert.equal(findCycle(new Map([...imports].slice(1))), undefined);
	assert.deepEqual(strays(new Map([["npm/src/a.js", ["npm/src/b.js", "tests/b.mjs"]]])), [
		"npm/src/a.js imports tests/b.mjs",
	]);
});

test("the Rust files of a crate have no cycle, except in the crates that are named", () => {
	const crates = readdirSync(fromRoot("crates"));
	const cycles = crates.map((crate) => [crate, findCycle(usesOf(rustFilesOf(crate)))]);
	const uses = usesOf(rustFilesOf("service"));
	assert.ok(uses.size > 25 && [...uses.values()].flat().length > 100, "files and uses are found");
	const found = cycles.filter(([, cycle]) => cycle !== undefined);
	assert.deepEqual(
		found.filter(([crate]) => !(crate in CYCLES)).map(([crate, cycle]) => `${crate}: ${cycle.join(" -> ")}`),
		[],
	);
	const unused = Object.keys(CYCLES).filter((crate) => !found.some(([name]) => name === crate));
	assert.deepEqual(unused, [], "these have no cycle any more, and need no exception");
});

test("a cycle of Rust files is found, over any kind of use", () => {
	const files = {
		"lib.rs": "mod a;\nmod b;\nmod c;\nmod d;\npub use a::A;\n",
		"a.rs": "use crate::{b::{B, Other as Another}, d::D};\n#[cfg(test)]\nmod tests {\n    use crate::c::C;\n}\n",
		"b.rs":
			"// crate::a is not used, and neither is\nuse core::fmt::{self, Debug};\nmod e;\nuse e::E;\nfn b() -> crate::c::C {}\n",
		"b/e.rs": "use super::super::d::D;\n",
		"c.rs": "use crate::d::D;\n",
		"d.rs": "use std::rc::Rc;\n",
	};
	const usesWith = (changed) => usesOf(new Map(Object.entries({ ...files, ...changed })));
	assert.equal(findCycle(usesWith({})), undefined);
	assert.deepEqual(findCycle(usesWith({ "d.rs": "use crate::A;\n" })), [
		"lib.rs",
		"a.rs",
		"b.rs",
		"b/e.rs",
		"d.rs",
		"lib.rs",
	]);
	assert.deepEqual(findCycle(usesWith({ "c.rs": "fn c() {\n    crate::b::b();\n}\n" })), ["b.rs", "c.rs", "b.rs"]);
});
