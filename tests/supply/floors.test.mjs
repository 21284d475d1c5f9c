// The floors that ARCHITECTURE.md describes hold: cargo tells which crate uses which, and the JavaScript files what they import.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import ts from "typescript";
import { fromRoot, root } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";

/** The crates of the house, from the ground up: one uses only what stands on a floor below its own. */
const FLOORS = [
	["config"],
	["model"],
	["json"],
	["cache", "invalidation-log", "prefetch", "row-codec", "storage-shard", "telemetry"],
	["protocol"],
	["columnar", "origin"],
	["aggregator", "benchmark"],
	["engine"],
	["service"],
	// What becomes wasm.
	["featheredge", "benchmark-wasm"],
];

/** Where those stand that do not stand in `crates`. */
const FOLDERS = { featheredge: "", "benchmark-wasm": "src/benchmark" };

/** What stands around the house and uses any of it; nothing in it uses them. */
const AROUND = ["bindgen", "fuzz", "scale"];

/** Where JavaScript stands, and the other folders from which its files may import; what is built lies in `build`. */
const IMPORTS = {
	npm: [],
	docs: [],
	www: ["build"],
	scripts: ["build", "tests/support"],
	benches: ["build", "tests/support"],
	"tests/support": ["build"],
	tests: ["build", "docs", "npm", "tests/support", "www"],
};

/** A package's name without what all of them begin with. */
const short = (name) => name.replace(/^featheredge-/, "");

/** The packages of this repository: their folders, and those of them that each uses, be it in its tests alone. */
async function crates() {
	const args = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
	const { packages } = JSON.parse(await mustRun("cargo", args, { cwd: root, capture: true }));
	return packages.map(({ name, manifest_path: manifest, dependencies }) => ({
		name: short(name),
		folder: relative(root, dirname(manifest)),
		uses: [...new Set(dependencies.filter(({ path }) => path).map((used) => short(used.name)))],
	}));
}

/** What is wrong with the crates: their places on the floors, and their folders. */
function misplaced(crates) {
	const floorOf = new Map(FLOORS.flatMap((names, floor) => names.map((name) => [name, floor])));
	const isBelow = (used, user) => floorOf.has(used) && (AROUND.includes(user) || floorOf.get(used) < floorOf.get(user));
	const faults = [];
	for (const { name, folder, uses } of crates) {
		if (!floorOf.has(name) && !AROUND.includes(name)) faults.push(`${name} stands on no floor`);
		const place = FOLDERS[name] ?? `crates/${name}`;
		if (floorOf.has(name) && folder !== place) faults.push(`${name} lies in ${folder}`);
		for (const used of uses.filter((used) => !isBelow(used, name))) faults.push(`${name} uses ${used}`);
		const around = crates.filter((other) => other.folder !== "" && folder.startsWith(`${other.folder}/`));
		for (const other of around) faults.push(`${name} lies inside ${other.name}`);
	}
	for (const name of floorOf.keys()) if (!crates.some((crate) => crate.name === name)) faults.push(`no crate ${name}`);
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

/** Crates with a circle among their files, each with its reason. Whoever breaks it open takes it from here. */
const CIRCLES = {
	aggregator: "its root has the aggregator, and a report looks at it",
	config: "its root has the configuration and its error, which the modules that read and check it use",
	json: "its root has the kinds of values, of which errors tell",
	model: "a row is in a key's space; what an allocation costs, and the slots of values, stand with the row",
	telemetry: "a batch of records has the gauges, which are of the records' tiers",
};

/** What stands in Rust without comments, and without tests within the file. */
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
 * Which files of a crate each of its files uses, by `use` or by a path of `crate::` or `super::`; `files` are the texts by their paths in
 * `src`. That a module is declared is no use of it.
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

/** The first way that leads back to where it began; `undefined` where there is none. */
function circle(imports) {
	const done = new Set();
	const visit = (file, way) => {
		if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
		if (done.has(file)) return undefined;
		for (const imported of imports.get(file) ?? []) {
			const found = visit(imported, [...way, file]);
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

/** The imports that leave a folder for another than those named for it. */
function strays(imports) {
	const isIn = (file, folder) => file.startsWith(`${folder}/`);
	return [...imports].flatMap(([file, imported]) => {
		const [folder, others] = Object.entries(IMPORTS).find(([folder]) => isIn(file, folder));
		const allowed = [folder, ...others];
		return imported.filter((to) => !allowed.some((folder) => isIn(to, folder))).map((to) => `${file} imports ${to}`);
	});
}

test("a crate uses only what stands below it, and lies in no other's folder", async () => {
	assert.deepEqual(misplaced(await crates()), []);
});

test("a crate that uses one above or beside it, lies in another or stands nowhere is found", async () => {
	const known = (await crates()).filter(({ name }) => !["cache", "json", "model"].includes(name));
	const added = [
		{ name: "cache", folder: "crates/cache", uses: ["model", "row-codec"] },
		{ name: "json", folder: "crates/cache/json", uses: ["service"] },
		{ name: "attic", folder: "crates/attic", uses: [] },
	];
	assert.deepEqual(misplaced([...known, ...added]).toSorted(), [
		"attic stands on no floor",
		"cache uses row-codec",
		"json lies in crates/cache/json",
		"json lies inside cache",
		"json uses service",
		"no crate model",
	]);
});

test("no JavaScript file leads back to itself by what it imports, and each folder imports from where it may", () => {
	const imports = importsOf(Object.keys(IMPORTS).flatMap(filesIn));
	assert.ok(imports.size > 200 && [...imports.values()].flat().length > 400, "files and imports are found");
	assert.equal(circle(imports)?.join(" -> "), undefined);
	assert.deepEqual(strays(imports), []);
});

test("a circle of files is found, and an import from where none may come", () => {
	const way = ["npm/src/a.js", "npm/src/b.js", "npm/src/c.js"];
	const imports = new Map(way.map((file, number) => [file, [way[(number + 1) % way.length], "npm/src/d.js"]]));
	assert.deepEqual(circle(imports), [...way, way[0]]);
	assert.equal(circle(new Map([...imports].slice(1))), undefined);
	assert.deepEqual(strays(new Map([["npm/src/a.js", ["npm/src/b.js", "tests/b.mjs"]]])), [
		"npm/src/a.js imports tests/b.mjs",
	]);
});

test("no Rust file of a crate leads back to itself by what it uses, but in the crates that are named", () => {
	const crates = readdirSync(fromRoot("crates"));
	const ways = crates.map((crate) => [crate, circle(usesOf(rustFilesOf(crate)))]);
	const uses = usesOf(rustFilesOf("service"));
	assert.ok(uses.size > 25 && [...uses.values()].flat().length > 100, "files and uses are found");
	const found = ways.filter(([, way]) => way !== undefined);
	assert.deepEqual(
		found.filter(([crate]) => !(crate in CIRCLES)).map(([crate, way]) => `${crate}: ${way.join(" -> ")}`),
		[],
	);
	const open = Object.keys(CIRCLES).filter((crate) => !found.some(([name]) => name === crate));
	assert.deepEqual(open, [], "these have no circle any more, and need no exception");
});

test("a circle of Rust files is found, by whatever it leads", () => {
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
	assert.equal(circle(usesWith({})), undefined);
	assert.deepEqual(circle(usesWith({ "d.rs": "use crate::A;\n" })), [
		"lib.rs",
		"a.rs",
		"b.rs",
		"b/e.rs",
		"d.rs",
		"lib.rs",
	]);
	assert.deepEqual(circle(usesWith({ "c.rs": "fn c() {\n    crate::b::b();\n}\n" })), ["b.rs", "c.rs", "b.rs"]);
});
