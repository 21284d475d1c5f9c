// Builds what is shipped, into build/: the Worker, the npm module and package, the page.
//
//   node scripts/build.mjs [worker|watch|npm|package|bench|page ...] [--opt O3|Os|Oz]
//
// Rust becomes wasm by cargo, gets its JavaScript side from tools/bindgen, is made small by binaryen's wasm-opt, and is bundled with
// its entry by esbuild. Everything comes from package registries, pinned by the two lock files. A build whose inputs have not
// changed since the last one is skipped.

import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { shortenImports } from "./lib/imports.mjs";
import { hashInputs, unlessUnchanged } from "./lib/inputs.mjs";
import { nameByPlace, WINDOWS } from "./lib/likeness.mjs";
import { checkNode, installPackages, installRust } from "./lib/prepare.mjs";
import { fromRoot, paths } from "./lib/root.mjs";
import { Failure, main, mustRun } from "./lib/run.mjs";
import { silence } from "./lib/silence.mjs";

/** The most that the Worker's wasm may be, gzipped. A free Worker may have 3 MB; what users feel is the start. */
export const WORKER_WASM_LIMIT = 360 * 1024;

const CARGO = [".cargo", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "crates", "src"];
const TOOLS = [
	"tools/bindgen",
	"scripts/build.mjs",
	"scripts/lib/imports.mjs",
	"scripts/lib/likeness.mjs",
	"scripts/lib/silence.mjs",
	"package-lock.json",
];
const WASM_FEATURES = [
	"bulk-memory",
	"bulk-memory-opt",
	"exception-handling",
	"multivalue",
	"mutable-globals",
	"nontrapping-float-to-int",
	"reference-types",
	"sign-ext",
	"simd",
];

/** The files whose sizes people pay for. */
const SIZED = [
	"worker/index.js",
	"worker/index.wasm",
	"npm/featheredge.wasm",
	"watch/watch.wasm",
	"package/dist/engine.js",
	"bench/core.wasm",
];

const targets = {
	worker: buildWorker,
	watch: buildWatch,
	npm: buildNpm,
	package: buildPackage,
	bench: buildBench,
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

/**
 * Compiles the core for one host and runs wasm-bindgen over it, whose names of imports are made short.
 *
 * @param {string} feature
 * @param {string} outDir
 * @param {string[]} bindgenArgs
 * @param {{ how?: typeof SHIPPED, tree?: string, target?: string }} [options] `tree` has the sources, `target` is cargo's folder for them
 */
async function compile(feature, outDir, bindgenArgs, { how = SHIPPED, tree = fromRoot(), target = paths.target } = {}) {
	const args = [
		"rustc",
		"--locked",
		...how.args,
		"--lib",
		// Alone: beside an rlib, whatever that would share with other crates is left in.
		"--crate-type",
		"cdylib",
		"--target",
		"wasm32-unknown-unknown",
		"--no-default-features",
		"--features",
		feature,
	];
	await mustRun("cargo", args, { cwd: tree, env: { CARGO_TARGET_DIR: target } });
	// Both hosts are built to the same path: the file is taken away before the other build can replace it.
	const input = join(outDir, "input.wasm");
	rmSync(outDir, { recursive: true, force: true });
	mkdirSync(outDir, { recursive: true });
	copyFileSync(join(target, "wasm32-unknown-unknown", how.profile, "featheredge.wasm"), input);
	const bindgen = await buildBindgen();
	await mustRun(bindgen, [
		"bindgen",
		input,
		"--target",
		"web",
		"--out-dir",
		outDir,
		"--omit-default-module-path",
		"--remove-producers-section",
		...bindgenArgs,
	]);
	const name = bindgenArgs[bindgenArgs.indexOf("--out-name") + 1];
	const [wasm, glue] = [join(outDir, `${name}_bg.wasm`), join(outDir, `${name}.js`)];
	const { module, script } = shortenImports(readFileSync(wasm), readFileSync(glue, "utf8"));
	writeFileSync(wasm, module);
	writeFileSync(glue, script);
}

/** Runs a program of binaryen's on `input`. */
async function binaryen(program, input, output, ...args) {
	const features = WASM_FEATURES.map((name) => `--enable-${name}`);
	await mustRun(
		process.execPath,
		[fromRoot("node_modules/binaryen/bin", program), ...features, ...args, input, "-o", output],
		{ capture: true },
	);
	if (!existsSync(output)) throw new Failure(`${program} wrote nothing`);
}

/**
 * What makes a module small beside the level: no answer from memory is slower by it (`npm run bench -- --only l1`).
 *
 * Low memory is the far end of the stack, which the linker puts first. A larger function that is called once is dearer inside another,
 * whose locals then have longer numbers. V8 does not look at alignments, and gzip does.
 */
const SMALL = [
	"--converge",
	"--low-memory-unused",
	"--generate-global-effects",
	"--one-caller-inline-max-function-size=20",
	"--flexible-inline-max-function-size=10",
	"--dealign",
	// Those that are called most come first: where functions are put in order by likeness, like with like, it begins with them.
	"--reorder-functions",
];

async function optimize(input, output, level) {
	const [silent, small, placed, ordered] = ["silent", "small", "placed", "ordered"].map(
		(name) => `${input}.${name}.wasm`,
	);
	writeFileSync(silent, await silence(readFileSync(input)));
	await binaryen("wasm-opt", silent, small, `-${level}`, ...SMALL);
	let least = Number.POSITIVE_INFINITY;
	for (const window of WINDOWS) {
		writeFileSync(placed, nameByPlace(readFileSync(small), window));
		await binaryen("wasm-opt", placed, ordered, "--reorder-functions-by-name");
		const size = gzippedSize(readFileSync(ordered));
		if (size < least) copyFileSync(ordered, output);
		least = Math.min(least, size);
	}
}

/**
 * Takes from a module what only classes of its JavaScript ask for: the `worker` crate exports some for bindings of every kind, and the
 * entry makes an object of none.
 */
async function trim(input, output, script) {
	const text = readFileSync(script, "utf8");
	const classes = [...text.matchAll(/^(?:export )?class (\w+)/gm)].map(([, name]) => name.toLowerCase());
	const isOfClass = (name) => classes.some((of) => new RegExp(`^(__wbg_((get|set)_)?)?${of}_`).test(name));
	const used = new Set([...text.matchAll(/\bwasm\.([\w$]+)/g)].map(([, name]) => name));
	const graph = [...used].filter((name) => !isOfClass(name)).map((name) => ({ name, export: name, root: true }));
	const file = `${output}.graph.json`;
	writeFileSync(file, JSON.stringify(graph));
	await binaryen("wasm-metadce", input, output, "--graph-file", file, "-g");
}

/** The JavaScript side of the watcher's module. */
const WATCH_GLUE = join(paths.cache, "watch");

/** build/watch/watch.wasm: whoever watches, which hosts load behind the first answer. */
export async function buildWatch({ level = "O3" } = {}) {
	const outputs = [join(paths.watch, "watch.wasm"), join(WATCH_GLUE, "watch.js")];
	await unlessUnchanged("watch", hashInputs([...CARGO, ...TOOLS], [level]), outputs, async () => {
		console.log("building the watcher's module");
		await installRust();
		await compile("watch", WATCH_GLUE, [
			"--out-name",
			"watch",
			"--no-typescript",
			"--experimental-reset-state-function",
		]);
		mkdirSync(paths.watch, { recursive: true });
		await optimize(join(WATCH_GLUE, "watch_bg.wasm"), outputs[0], level);
	});
}

/** Bundles a host's entry with the JavaScript side of its core, which stands in `glue`. */
async function bundle(entry, glue, outfile, external, { tree = fromRoot(), watchGlue = WATCH_GLUE } = {}) {
	const esbuild = await import("esbuild");
	await esbuild.build({
		entryPoints: [join(tree, entry)],
		outfile,
		bundle: true,
		format: "esm",
		target: "es2022",
		legalComments: "none",
		logLevel: "warning",
		alias: { "featheredge-core": join(glue, "core.js"), "featheredge-watch": join(watchGlue, "watch.js") },
		external,
	});
	await esbuild.stop();
}

/** What wasm-bindgen is told for a core without types. */
const TYPELESS = ["--no-typescript", "--experimental-reset-state-function"];
const WORKER_ENTRY = "src/host/worker.mjs";
const WORKER_EXTERNAL = ["./*.wasm", "cloudflare:*"];
const WORKER_BINDGEN = [
	"--out-name",
	"core",
	"--no-typescript",
	"--experimental-reset-state-function",
	"--force-enable-abort-handler",
];

/** build/worker/index.js, index.wasm and watch.wasm: all that a Worker needs. */
export async function buildWorker({ level = "O3" } = {}) {
	await buildWatch({ level });
	const outputs = ["index.js", "index.wasm", "watch.wasm"].map((name) => join(paths.worker, name));
	await unlessUnchanged("worker", hashInputs([...CARGO, ...TOOLS, "npm/src/stores"], [level]), outputs, async () => {
		console.log("building the Worker");
		await installRust();
		const glue = join(paths.cache, "worker");
		await compile("worker", glue, WORKER_BINDGEN);
		mkdirSync(paths.worker, { recursive: true });
		await bundle(WORKER_ENTRY, glue, outputs[0], WORKER_EXTERNAL);
		copyFileSync(join(paths.watch, "watch.wasm"), outputs[2]);
		const trimmed = join(glue, "trimmed.wasm");
		await trim(join(glue, "core_bg.wasm"), trimmed, join(glue, "core.js"));
		await optimize(trimmed, outputs[1], level);
	});
}

/** build/npm/featheredge.js, featheredge.wasm and types: one module for Node, Deno, Bun and browsers, told where its wasm is. */
export async function buildNpm({ level = "O3" } = {}) {
	const outputs = ["featheredge.js", "featheredge.d.ts", "featheredge.wasm"].map((name) => join(paths.npm, name));
	await unlessUnchanged("npm", hashInputs([...CARGO, ...TOOLS], [level]), outputs, async () => {
		console.log("building the npm module");
		await installRust();
		const glue = join(paths.cache, "npm");
		await compile("npm", glue, ["--out-name", "featheredge", "--experimental-reset-state-function"]);
		mkdirSync(paths.npm, { recursive: true });
		copyFileSync(join(glue, "featheredge.js"), outputs[0]);
		copyFileSync(join(glue, "featheredge.d.ts"), outputs[1]);
		await optimize(join(glue, "featheredge_bg.wasm"), outputs[2], level);
		// The files are ES modules wherever they are looked at from.
		writeFileSync(join(paths.npm, "package.json"), `${JSON.stringify({ type: "module" })}\n`);
	});
}

/** The subpaths of the package that are stores. */
const STORES = ["redis", "kv", "unstorage", "indexeddb", "cache-api", "sealed"];
const HOSTS = ["node", "deno", "browser", "workerd", "inline"];

/**
 * build/package: what `npm pack` packs. The engine is one file, around it stands one for each host, whose way to the wasm is all that
 * tells them apart.
 */
export async function buildPackage(options) {
	await buildNpm(options);
	await buildWatch(options);
	await buildBench(options);
	const outDir = (...parts) => join(paths.package, ...parts);
	const inputs = hashInputs([
		"npm",
		"src/host/watching.mjs",
		"src/host/sealed.mjs",
		"src/host/withheld.mjs",
		"build/npm",
		"build/watch",
		"build/bench",
		"LICENSE",
		...TOOLS,
	]);
	await unlessUnchanged("package", inputs, [outDir("dist/engine.js"), outDir("package.json")], async () => {
		console.log("building the npm package");
		await bundlePackage({
			outDir,
			wasm: join(paths.npm, "featheredge.wasm"),
			glue: join(paths.npm, "featheredge.js"),
			watchWasm: join(paths.watch, "watch.wasm"),
			watchGlue: join(WATCH_GLUE, "watch.js"),
		});
		mkdirSync(outDir("cli/bench"));
		for (const name of ["bench.js", "core.wasm"]) copyFileSync(join(paths.bench, name), outDir("cli/bench", name));
	});
}

/**
 * The package of sources that are tried and not shipped: compiled quickly, without the benchmark's module.
 *
 * @param {string} folder where it stands, in `package`, and what it is made of
 * @param {{ tree?: string, target?: string, isWatchKept?: boolean }} [options] where the sources are, and cargo's folder for them;
 *   `isWatchKept` leaves the watching page's part as it was built before
 * @returns {Promise<string>} the package
 */
export async function buildQuickPackage(
	folder,
	{ tree = fromRoot(), target = paths.target, isWatchKept = false } = {},
) {
	await installRust();
	const options = { how: QUICK, tree, target };
	const glue = (name) => join(folder, name);
	await compile("npm", glue("npm"), ["--out-name", "featheredge", ...TYPELESS], options);
	if (!isWatchKept || !existsSync(join(glue("watch"), "watch.js")))
		await compile("watch", glue("watch"), ["--out-name", "watch", ...TYPELESS], options);
	const outDir = (...parts) => join(folder, "package", ...parts);
	await bundlePackage({
		tree,
		outDir,
		wasm: join(glue("npm"), "featheredge_bg.wasm"),
		glue: join(glue("npm"), "featheredge.js"),
		watchWasm: join(glue("watch"), "watch_bg.wasm"),
		watchGlue: join(glue("watch"), "watch.js"),
	});
	return outDir();
}

/**
 * The same of the Worker.
 *
 * @param {string} folder
 * @param {{ tree?: string, target?: string }} [options]
 * @returns {Promise<string>} where the Worker is
 */
export async function buildQuickWorker(folder, { tree = fromRoot(), target = paths.target } = {}) {
	await installRust();
	const options = { how: QUICK, tree, target };
	const [glue, watchGlue, outDir] = ["worker-core", "watch", "worker"].map((name) => join(folder, name));
	await compile("watch", watchGlue, ["--out-name", "watch", ...TYPELESS], options);
	await compile("worker", glue, WORKER_BINDGEN, options);
	mkdirSync(outDir, { recursive: true });
	await bundle(WORKER_ENTRY, glue, join(outDir, "index.js"), WORKER_EXTERNAL, { tree, watchGlue });
	copyFileSync(join(glue, "core_bg.wasm"), join(outDir, "index.wasm"));
	copyFileSync(join(watchGlue, "watch_bg.wasm"), join(outDir, "watch.wasm"));
	return outDir;
}

/** Bundles the package's JavaScript around the modules. */
async function bundlePackage({ tree = fromRoot(), outDir, wasm, glue, watchWasm, watchGlue }) {
	const source = (...parts) => join(tree, "npm", ...parts);
	rmSync(outDir(), { recursive: true, force: true });
	mkdirSync(outDir("dist"), { recursive: true });
	const packs = { "featheredge-packed": wasm, "featheredge-packed-watch": watchWasm };
	const esbuild = await import("esbuild");
	const packed = {
		name: "packed",
		setup(build) {
			build.onResolve({ filter: /^featheredge-packed/ }, ({ path }) => ({ path, namespace: "packed" }));
			build.onLoad({ filter: /./, namespace: "packed" }, ({ path }) => ({
				contents: gzipSync(readFileSync(packs[path]), { level: 9 }).toString("base64"),
				loader: "text",
			}));
			const isEsm = build.initialOptions.format === "esm";
			const apart = { "../public.js": "./engine.js", "../watch.js": "./watch.js" };
			build.onResolve({ filter: /^\.\.\/(public|watch)\.js$/ }, ({ path }) =>
				isEsm ? { path: apart[path], external: true } : undefined,
			);
		},
	};
	const bundle = (entry, outfile, more = {}) =>
		esbuild.build({
			entryPoints: [source("src", entry)],
			...(outfile !== undefined && { outfile: outDir("dist", outfile) }),
			bundle: true,
			format: "esm",
			target: "es2022",
			// Names stay: a person may meet them in a stack.
			minifyWhitespace: true,
			minifySyntax: true,
			legalComments: "none",
			logLevel: "warning",
			alias: { "featheredge-core": glue, "featheredge-watch": watchGlue },
			external: ["./*.wasm", "node:*"],
			plugins: [packed],
			...more,
		});
	const commonJs = {
		format: "cjs",
		platform: "node",
		define: { "import.meta.url": "__url" },
		banner: { js: 'const __url=require("node:url").pathToFileURL(__filename).href;' },
	};
	await Promise.all([
		bundle("public.js", "engine.js"),
		bundle("watch.js", "watch.js"),
		...HOSTS.map((host) => bundle(`entries/${host}.js`, `${host}.js`)),
		bundle("entries/node.js", "node.cjs", commonJs),
		...STORES.map((store) => bundle(`stores/${store}.js`, `${store}.js`)),
		...STORES.map((store) => bundle(`stores/${store}.js`, `${store}.cjs`, { format: "cjs", platform: "node" })),
	]);
	await bundle("../cli/featheredge.js", undefined, {
		outdir: outDir("cli"),
		platform: "node",
		// A command's libraries are loaded with it.
		splitting: true,
		chunkNames: "[name]-[hash]",
		external: ["../dist/*", "./bench/bench.js"],
		banner: { js: 'import{createRequire}from"node:module";const require=createRequire(import.meta.url);' },
	});
	await esbuild.stop();
	copyFileSync(wasm, outDir("dist/featheredge.wasm"));
	copyFileSync(watchWasm, outDir("dist/featheredge-watch.wasm"));
	for (const name of ["index", ...STORES]) {
		const types = readFileSync(source("types", `${name}.d.ts`), "utf8");
		writeFileSync(outDir("dist", `${name}.d.ts`), types);
		writeFileSync(outDir("dist", `${name}.d.cts`), types.replaceAll('"./index.js"', '"./index.cjs"'));
	}
	copyFileSync(join(tree, "LICENSE"), outDir("LICENSE"));
	for (const name of ["README.md", "package.json"]) copyFileSync(source(name), outDir(name));
}

/**
 * build/bench/bench.js and core.wasm: the engine of the npm package with the benchmark framework, for the page and the command line. A
 * module of its own, so that who only serves does not pay for it.
 */
export async function buildBench({ level = "O3" } = {}) {
	const outputs = ["bench.js", "core.wasm"].map((name) => join(paths.bench, name));
	await buildWatch({ level });
	const inputs = hashInputs([...CARGO, ...TOOLS, "npm/src"], [level]);
	await unlessUnchanged("bench", inputs, outputs, async () => {
		console.log("building the benchmark's module");
		await installRust();
		const glue = join(paths.cache, "bench");
		await compile("bench", glue, ["--out-name", "core", "--no-typescript", "--experimental-reset-state-function"]);
		mkdirSync(paths.bench, { recursive: true });
		await bundle("src/host/bench/index.mjs", glue, outputs[0], []);
		await optimize(join(glue, "core_bg.wasm"), outputs[1], level);
		// The files are ES modules wherever they are looked at from.
		writeFileSync(join(paths.bench, "package.json"), `${JSON.stringify({ type: "module" })}\n`);
	});
}

/** www/dist: the page, which carries the benchmark's module. */
export async function buildPage(options) {
	const config = fromRoot("www/vite.config.js");
	if (!existsSync(config)) return;
	await buildBench(options);
	await unlessUnchanged(
		"page",
		hashInputs(["www", "build/bench", "npm/src/stores", "package-lock.json"]),
		[join(paths.page, "index.html")],
		async () => {
			console.log("building the page");
			await mustRun(
				process.execPath,
				[fromRoot("node_modules/vite/bin/vite.js"), "build", "--config", config, "--logLevel", "warn"],
				{ cwd: fromRoot("www") },
			);
		},
	);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	await main(async () => {
		const { values, positionals } = parseArgs({
			allowPositionals: true,
			options: { opt: { type: "string", default: "O3" } },
		});
		checkNode();
		const names = positionals.length > 0 ? positionals : Object.keys(targets);
		const unknown = names.find((name) => !(name in targets));
		if (unknown !== undefined) throw new Failure(`expected ${Object.keys(targets).join(", ")}, found \`${unknown}\``);
		await installPackages();
		for (const name of names) await targets[name]({ level: values.opt });
		for (const file of SIZED.map((name) => fromRoot("build", name)).filter(existsSync)) reportSize(file);
		if (names.includes("worker")) checkWorkerSize();
	});
}
