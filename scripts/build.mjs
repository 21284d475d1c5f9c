// Builds what is shipped, into build/: the Worker, the npm module and package, the page.
//
//   node scripts/build.mjs [worker|npm|package|benchmark|page ...]
//   node scripts/build.mjs worker|package --quick FOLDER [--tree SOURCES] [--target-dir FOLDER]
//
// Rust becomes wasm by cargo, gets its JavaScript side from wasm-bindgen, is optimized by wasm-opt, and is bundled with its entry by
// esbuild or Vite. Everything comes from package registries, pinned by the two lock files. Cargo knows what to compile; a module that it
// leaves as it was is not optimized again, and bundles, which take a second, are made each time and written where they differ.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { hashInputs, unlessUnchanged } from "../tests/support/inputs.mjs";
import { checkNode, installPackages, installRust } from "../tests/support/prepare.mjs";
import { fromRoot, paths, root } from "../tests/support/root.mjs";
import { Failure, main, mustRun } from "../tests/support/run.mjs";

/**
 * The most that the Worker's wasm may be, gzipped: what every host's may be, 360 KB, and what the Durable Objects with the `worker` crate take
 * besides (docs/internals/adr/0032). A free Worker may have 3 MB; what users feel is the start.
 */
const WORKER_WASM_LIMIT = 380 * 1024;

/** The files whose sizes people pay for. */
const SIZED = [
	"worker/index.js",
	"worker/index.wasm",
	"npm/featheredge.wasm",
	"package/dist/engine.js",
	"package/dist/benchmark.wasm",
];

const targets = {
	worker: buildWorker,
	npm: buildNpm,
	package: buildPackage,
	benchmark: buildBenchmark,
	page: buildPage,
};

const gzippedSize = (bytes) => gzipSync(bytes, { level: 9 }).length;
const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;

/** Prints a file's size, raw and gzipped, and returns the latter. */
function reportSize(file) {
	const bytes = readFileSync(file);
	const gzipped = gzippedSize(bytes);
	console.log(`${file.slice(fromRoot().length)}: ${kilobytes(bytes.length)}, gzipped ${kilobytes(gzipped)}`);
	return gzipped;
}

/** Fails when the Worker has outgrown its limit. */
export function checkWorkerSize() {
	const gzipped = gzippedSize(readFileSync(join(paths.worker, "index.wasm")));
	if (gzipped > WORKER_WASM_LIMIT) {
		throw new Failure(
			`the Worker's wasm is ${kilobytes(gzipped)} gzipped, more than the ${kilobytes(WORKER_WASM_LIMIT)} allowed`,
		);
	}
}

/** Builds tools/bindgen and returns its path. Without debug information: nobody debugs it, and it builds and links faster. */
export async function buildBindgen(options) {
	await mustRun(
		"cargo",
		["build", "--quiet", "--locked", "--package", "featheredge-bindgen", "--config", "profile.dev.debug=false"],
		options,
	);
	return join(paths.target, "debug/featheredge-bindgen");
}

const TARGET = "wasm32-unknown-unknown";
const cargoHome = process.env.CARGO_HOME ?? join(homedir(), ".cargo");

/** How cargo compiles what is shipped. */
const SHIPPED = { profile: "release", args: ["--release"] };

/**
 * How it compiles what only a test runs: in a fraction of the time, with overflow checks and debug assertions. Without any
 * optimization each answer would take milliseconds.
 */
const QUICK = {
	profile: "debug",
	args: ['profile.dev.panic="abort"', "profile.dev.debug=false", "profile.dev.opt-level=1"].flatMap((setting) => [
		"--config",
		setting,
	]),
};

/** What is compiled: the component, the same with the Durable Objects for the Worker, and the benchmark framework beside it. */
const CORE = { target: ["--lib", "--crate-type", "cdylib"], file: "featheredge.wasm", name: "featheredge" };
const WORKER = {
	...CORE,
	target: [...CORE.target, "--features", "durable-objects"],
	name: "worker",
	// cargo has one place for a library without a hash in its name, and would make each of the two again after the other.
	folder: "worker",
};
const BENCHMARK = {
	target: ["--package", "featheredge-benchmark-wasm"],
	file: "featheredge_benchmark_wasm.wasm",
	name: "benchmark",
};

/**
 * Compiles a module.
 *
 * @param {typeof CORE} what
 * @param {{ how?: typeof SHIPPED, tree?: string, target?: string }} [options] `tree` has the sources, `target` is cargo's folder for them
 * @returns {Promise<string>} the module
 */
async function compile(what, { how = SHIPPED, tree = fromRoot(), target = paths.target } = {}) {
	await installRust();
	const args = [
		...["rustc", "--locked", ...how.args, ...what.target, "--target", TARGET],
		// The texts of panics name files: of whoever built it, they would tell where their home is.
		...["--config", `target.${TARGET}.rustflags=["--remap-path-prefix=${cargoHome}=cargo"]`],
	];
	const folder = join(target, what.folder ?? "");
	await mustRun("cargo", args, { cwd: tree, env: { CARGO_TARGET_DIR: folder } });
	return join(folder, TARGET, how.profile, what.file);
}

/**
 * Runs wasm-bindgen over a compiled module.
 *
 * @param {string} compiled
 * @param {string} name what both files are to be called
 * @param {string} outDir
 * @returns {Promise<{ wasm: string, glue: string }>} the module and its JavaScript side
 */
async function bind(compiled, name, outDir) {
	await mustRun(await buildBindgen(), [
		...["bindgen", compiled, "--target", "web", "--out-dir", outDir, "--out-name", name],
		...["--omit-default-module-path", "--remove-producers-section", "--experimental-reset-state-function"],
	]);
	return { wasm: join(outDir, `${name}_bg.wasm`), glue: join(outDir, `${name}.js`) };
}

/**
 * How wasm-opt optimizes what is shipped. LLVM has inlined what is worth it: a function with one caller that stays by itself is compiled
 * when it is first called, and not with its caller. No address below 1,024 is in use, since the stack is first in memory and grows
 * towards 0, so an offset can go into a load or a store.
 */
const OPTIMIZE = ["-O3", "--one-caller-inline-max-function-size", "0", "--low-memory-unused"];

/**
 * A module as it is shipped, and its JavaScript side.
 *
 * @param {typeof CORE} what
 */
async function buildModule(what) {
	const compiled = await compile(what);
	const folder = join(paths.cache, what.name);
	const optimized = join(folder, "optimized.wasm");
	const glue = join(folder, `${what.name}.js`);
	const inputs = hashInputs([relative(root, compiled), "Cargo.lock", "package-lock.json"], OPTIMIZE);
	await unlessUnchanged(what.name, inputs, [optimized, glue], async () => {
		const { wasm } = await bind(compiled, what.name, folder);
		const program = fromRoot("node_modules/binaryen/bin/wasm-opt");
		await mustRun(process.execPath, [program, ...OPTIMIZE, wasm, "-o", optimized], { capture: true });
	});
	return { wasm: optimized, glue };
}

/**
 * Makes a folder hold these files and no others; one that is the same already is not touched, so that whoever reads it meanwhile
 * reads it whole.
 *
 * @param {string} folder
 * @param {Map<string, string | Uint8Array>} files by their paths in it
 */
function fill(folder, files) {
	if (existsSync(folder)) {
		for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
			const path = join(entry.parentPath, entry.name);
			if (entry.isFile() && !files.has(relative(folder, path))) rmSync(path);
		}
	}
	for (const [name, content] of files) {
		const path = join(folder, name);
		const bytes = Buffer.from(content);
		if (existsSync(path) && readFileSync(path).equals(bytes)) continue;
		mkdirSync(dirname(path), { recursive: true });
		writeFileSync(path, bytes);
	}
}

/**
 * What esbuild makes of an entry.
 *
 * @param {import("esbuild").BuildOptions} options
 * @param {string} folder that the paths are from
 * @returns {Promise<[string, Uint8Array][]>} the files by their paths
 */
async function bundle(options, folder) {
	const { build } = await import("esbuild");
	const { outputFiles } = await build({
		bundle: true,
		format: "esm",
		target: "es2022",
		legalComments: "none",
		logLevel: "warning",
		write: false,
		...options,
	});
	return outputFiles.map(({ path, contents }) => [relative(folder, path), contents]);
}

/** build/worker/index.js and index.wasm: all that a Worker needs. */
export async function buildWorker() {
	await fillWorker(paths.worker, await buildModule(WORKER));
}

async function fillWorker(folder, core, tree = fromRoot()) {
	const options = {
		entryPoints: [join(tree, "npm/src/worker/index.js")],
		outfile: join(folder, "index.js"),
		alias: { "featheredge-core": core.glue },
		external: ["./*.wasm", "cloudflare:*"],
	};
	fill(folder, new Map([...(await bundle(options, folder)), ["index.wasm", readFileSync(core.wasm)]]));
}

/** The files are ES modules wherever they are looked at from. */
const ES_MODULES = ["package.json", `${JSON.stringify({ type: "module" })}\n`];

/** build/npm/featheredge.js, featheredge.wasm and types: the module by itself, told where its wasm is. */
export async function buildNpm() {
	const { wasm, glue } = await buildModule(CORE);
	const files = [
		["featheredge.js", readFileSync(glue)],
		["featheredge.d.ts", readFileSync(glue.replace(/js$/, "d.ts"))],
		["featheredge.wasm", readFileSync(wasm)],
		ES_MODULES,
	];
	fill(paths.npm, new Map(files));
	return { wasm, glue };
}

/** The benchmark framework's module, which stands beside the engine's in the package. */
export function buildBenchmark() {
	return buildModule(BENCHMARK);
}

/** www/dist: the page, which measures the package as it ships. */
export async function buildPage() {
	await buildPackage();
	const { build } = await import("vite");
	const { output } = await build({
		configFile: fromRoot("www/vite.config.js"),
		logLevel: "warn",
		build: { write: false },
	});
	const folder = fromRoot("www/public");
	const still = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]);
	fill(paths.page, new Map([...still, ...output.map((file) => [file.fileName, file.code ?? file.source])]));
}

/** The subpaths of the package that are stores. */
const STORES = ["redis", "kv", "unstorage", "indexeddb", "cache-api", "sealed"];
const HOSTS = ["node", "deno", "browser", "workerd", "inline"];

/**
 * build/package: what `npm pack` packs. The engine is one file, around it stands one for each host, whose way to the wasm is all that
 * tells them apart.
 */
export async function buildPackage() {
	await fillPackage(paths.package, await buildNpm(), await buildBenchmark());
}

/**
 * The package of sources that are tried and not shipped: compiled quickly, without the benchmark framework.
 *
 * @param {string} folder where it stands, in `package`, and what it is made of
 * @param {{ tree?: string, target?: string }} [options] where the sources are, and cargo's folder for them
 * @returns {Promise<string>} the package
 */
async function buildQuickPackage(folder, { tree, target } = {}) {
	const outDir = join(folder, "package");
	await fillPackage(outDir, await buildQuickModule(CORE, folder, { tree, target }), undefined, tree);
	return outDir;
}

/**
 * The same of the Worker.
 *
 * @param {string} folder
 * @param {{ tree?: string, target?: string }} [options]
 * @returns {Promise<string>} where the Worker is
 */
async function buildQuickWorker(folder, { tree, target } = {}) {
	const outDir = join(folder, "worker");
	await fillWorker(outDir, await buildQuickModule(WORKER, folder, { tree, target }), tree);
	return outDir;
}

/** A module, not optimized. */
async function buildQuickModule(what, folder, options) {
	return bind(await compile(what, { how: QUICK, ...options }), what.name, join(folder, "core", what.name));
}

/** Fills a folder with the package: its JavaScript bundled around the modules. One that is only tried has no benchmark. */
async function fillPackage(outDir, core, benchmark, tree = fromRoot()) {
	const source = (...parts) => join(tree, "npm", ...parts);
	const packed = {
		name: "packed",
		setup(build) {
			build.onResolve({ filter: /^featheredge-packed$/ }, ({ path }) => ({ path, namespace: "packed" }));
			build.onLoad({ filter: /./, namespace: "packed" }, () => ({
				contents: gzipSync(readFileSync(core.wasm), { level: 9 }).toString("base64"),
				loader: "text",
			}));
			const isEsm = build.initialOptions.format === "esm";
			build.onResolve({ filter: /^\.\.\/public\.js$/ }, () =>
				isEsm ? { path: "./engine.js", external: true } : undefined,
			);
		},
	};
	const bundled = (entry, outfile, options = {}) =>
		bundle(
			{
				entryPoints: [source("src", entry)],
				...(outfile !== undefined && { outfile: join(outDir, "dist", outfile) }),
				format: "esm",
				// Names stay: a person may meet them in a stack.
				minifyWhitespace: true,
				minifySyntax: true,
				alias: { "featheredge-core": core.glue, ...(benchmark && { "featheredge-benchmark": benchmark.glue }) },
				external: ["./*.wasm", "node:*"],
				plugins: [packed],
				...options,
			},
			outDir,
		);
	const commonJs = {
		format: "cjs",
		platform: "node",
		define: { "import.meta.url": "__url" },
		banner: { js: 'const __url=require("node:url").pathToFileURL(__filename).href;' },
	};
	const benchmarks = [
		["browser", "benchmark.js"],
		["node", "benchmark-node.js"],
		["node", "benchmark-node.cjs", commonJs],
	];
	const scripts = await Promise.all([
		...(benchmark ? benchmarks : []).map(([host, file, options]) =>
			bundled(`benchmark/hosts/${host}.js`, file, options),
		),
		bundled("public.js", "engine.js"),
		...HOSTS.map((host) => bundled(`hosts/${host}.js`, `${host}.js`)),
		bundled("hosts/node.js", "node.cjs", commonJs),
		...STORES.map((store) => bundled(`stores/${store}.js`, `${store}.js`)),
		...STORES.map((store) => bundled(`stores/${store}.js`, `${store}.cjs`, { format: "cjs", platform: "node" })),
		bundled("../cli/featheredge.js", undefined, {
			outdir: join(outDir, "cli"),
			platform: "node",
			// A command's libraries are loaded with it.
			splitting: true,
			chunkNames: "[name]-[hash]",
			external: ["../dist/*"],
			banner: { js: 'import{createRequire}from"node:module";const require=createRequire(import.meta.url);' },
		}),
	]);
	const types = ["index", "benchmark", ...STORES].flatMap((name) => {
		const text = readFileSync(source("types", `${name}.d.ts`), "utf8");
		return [
			[`dist/${name}.d.ts`, text],
			[`dist/${name}.d.cts`, text.replaceAll('"./index.js"', '"./index.cjs"')],
		];
	});
	const files = [
		["dist/featheredge.wasm", core.wasm],
		...(benchmark ? [["dist/benchmark.wasm", benchmark.wasm]] : []),
		["LICENSE", join(tree, "LICENSE")],
		["README.md", source("README.md")],
		["package.json", source("package.json")],
	].map(([name, path]) => [name, readFileSync(path)]);
	fill(outDir, new Map([...scripts.flat(), ...types, ...files]));
}

const quickTargets = { worker: buildQuickWorker, package: buildQuickPackage };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	await main(async () => {
		const { values, positionals } = parseArgs({
			allowPositionals: true,
			options: {
				quick: { type: "string" },
				tree: { type: "string" },
				"target-dir": { type: "string" },
			},
		});
		checkNode();
		const isQuick = values.quick !== undefined;
		const known = isQuick ? quickTargets : targets;
		const names = positionals.length > 0 ? positionals : Object.keys(known);
		const unknown = names.find((name) => !(name in known));
		if (unknown !== undefined) throw new Failure(`expected ${Object.keys(known).join(", ")}, found \`${unknown}\``);
		await installPackages();
		for (const name of names) {
			if (isQuick) await quickTargets[name](values.quick, { tree: values.tree, target: values["target-dir"] });
			else await targets[name]();
		}
		if (isQuick) return;
		for (const file of SIZED.map((name) => fromRoot("build", name)).filter(existsSync)) reportSize(file);
		if (names.includes("worker")) checkWorkerSize();
	});
}
