// Shows that the checker sees what it is there to see: each mend, switched off by a small change of the sources, makes it find a violation.
//
// The sources are copied, so nothing of the repository changes. A mutant whose text is not found exactly once is an error: whoever
// changes that line says here what its opposite is now.

import {
	copyFileSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { buildQuick } from "../support/build.mjs";
import { fromRoot } from "../support/root.mjs";
import { Failure } from "../support/run.mjs";
import { MUTANTS } from "./mutant-table.mjs";
import { AVOIDABLE, KIND_NAMES } from "./plan.mjs";
import { check } from "./run.mjs";

/** All that the package is built from. */
const SOURCES = [
	...[".cargo", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "LICENSE", "crates", "src", "npm", "tools/bindgen"],
	...["benches", "fuzz", "tests/eviction.rs", "tests/scenarios.rs", "tests/simulation", "tests/wasm.rs"],
];
/** How many seeds are tried; each has half as long again as the one before it. */
const SEEDS = 3;

function* filesUnder(path) {
	if (!statSync(fromRoot(path)).isDirectory()) yield path;
	else if (!/(^|\/)(node_modules|target|corpus)$/.test(path)) {
		for (const name of readdirSync(fromRoot(path))) yield* filesUnder(join(path, name));
	}
}

/** Copies the sources to `tree`, and leaves what is there already as it is: cargo goes by the times of files. */
function copySources(tree) {
	const wanted = new Set();
	for (const file of SOURCES.flatMap((path) => [...filesUnder(path)])) {
		const to = join(tree, file);
		wanted.add(to);
		const isSame = existsSync(to) && readFileSync(to).equals(readFileSync(fromRoot(file)));
		if (isSame) continue;
		mkdirSync(dirname(to), { recursive: true });
		copyFileSync(fromRoot(file), to);
	}
	for (const folder of ["crates", "src", "npm"]) {
		for (const entry of readdirSync(join(tree, folder), { recursive: true, withFileTypes: true })) {
			const path = join(entry.parentPath ?? entry.path, entry.name);
			if (entry.isFile() && !wanted.has(path)) rmSync(path);
		}
	}
	// The bundler finds the command line's libraries in a folder above.
}

/** Changes the sources as a mutant says. */
function mutate(tree, { name, changes }) {
	for (const { file, from, to } of changes) {
		const path = join(tree, file);
		const text = readFileSync(path, "utf8");
		const found = text.split(from).length - 1;
		if (found !== 1) throw new Failure(`mutant \`${name}\`: \`${from}\` stands ${found} times in ${file}`);
		writeFileSync(
			path,
			text.replace(from, () => to),
		);
	}
}

/**
 * Builds and checks each mutant, and first the sources as they are.
 *
 * @param {{ redisUrl: string, seconds: number, seed: string, only?: string }} options `seconds` is how long one may take to be found
 * @returns {Promise<object[]>} a row for each
 */
export async function checkMutants({ redisUrl, seconds, seed, only = "" }) {
	const folder = fromRoot("build/mutants");
	const tree = join(folder, "tree");
	const rows = [];
	const unchanged = { name: "nothing", changes: [], promise: "all", isUnchanged: true };
	let checked = Promise.resolve();
	for (const [number, mutant] of [unchanged, ...MUTANTS].entries()) {
		if (!mutant.name.includes(only)) continue;
		for (const kind of [...(mutant.kinds ?? []), ...(mutant.scripts ?? [])]) {
			if (!KIND_NAMES.includes(kind) && !AVOIDABLE.includes(kind))
				throw new Failure(`mutant \`${mutant.name}\`: no \`${kind}\``);
		}
		copySources(tree);
		mutate(tree, mutant);
		// The next is built while this one is checked, which mostly waits.
		const outDir = join(folder, String(number % 2));
		const packageDir = await buildQuick("package", outDir, { tree, targetDir: join(folder, "target") });
		await checked;
		checked = checkMutant({ mutant, packageDir, redisUrl, seconds, seed }).then((row) => {
			rows.push({ off: mutant.name, ...row });
			console.log(JSON.stringify(rows.at(-1)));
		});
	}
	copySources(tree);
	await checked;
	return rows;
}

async function checkMutant({ mutant, packageDir, redisUrl, seconds, seed }) {
	const { kinds = KIND_NAMES, scripts, isUnchanged = false, finds } = mutant;
	const avoided = scripts === undefined ? [] : AVOIDABLE.filter((name) => !scripts.includes(name));
	const began = performance.now();
	const tried = isUnchanged ? 1 : SEEDS;
	for (let number = 0; number < tried; number++) {
		const lasts = isUnchanged ? seconds : (seconds / SEEDS) * (0.5 + number / 2);
		const result = await check({ packageDir, redisUrl, seconds: lasts, seed: `${seed}-${number}`, kinds, avoided });
		const found = result.violations.find(({ kind }) => finds === undefined || finds.includes(kind));
		if (found === undefined) continue;
		const after = ((performance.now() - began) / 1_000).toFixed(0);
		return {
			is_found: true,
			as_expected: !isUnchanged,
			after_s: Number(after),
			violation: found.kind,
			world: found.world.kind,
			seed: result.seed,
		};
	}
	return { is_found: false, as_expected: isUnchanged };
}
