// Builds what is shipped, into build/: the Worker, the npm module and package, the page.
//
//   node scripts/build.mjs [worker|watch|npm|package|bench|page ...] [--opt O3|Os|Oz]
//
// Rust becomes wasm by cargo, gets its JavaScript side from wasm-bindgen, is optimized by wasm-opt, and is bundled with its entry by
// esbuild or Vite. Everything comes from package registries, pinned by the two lock files. Cargo knows what to compile; a module that it
// leaves as it was is not optimized again, and bundles, which take a second, are made each time and written where they differ.

import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { hashInputs, unlessUnchanged } from "./lib/inputs.mjs";
import { checkNode, installPackages, installRust } from "./lib/prepare.mjs";
import { fromRoot, paths, root } from "./lib/root.mjs";
import { Failure, main, mustRun } from "./lib/run.mjs";

/** The most that the Worker's wasm may be, gzipped. A free Worker may have 3 MB; what users feel is the start. */
export const WORKER_WASM_LIMIT = 360 * 1024;

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

/**
 * Compiles the core for one host.
 *
 * @param {string} feature of the host
 * @param {string} folder takes the module, before another host's takes its place in cargo's own folder
 * @param {{ how?: typeof SHIPPED, tree?: string, target?: string }} [options] `tree` has the sources, `target` is cargo's folder for them
 * @returns {Promise<string>} the module
 */
async function compile(feature, folder, { how = SHIPPED, tree = fromRoot(), target = paths.target } = {}) {
	await installRust();
	const args = [
		...["rustc", "--locked", ...how.args, "--lib", "--crate-type", "cdylib"],
		...["--target", TARGET, "--no-default-features", "--features", feature],
		// The texts of panics name files: of whoever built it, they would tell where their home is.
		...["--config", `target.${TARGET}.rustflags=["--remap-path-prefix=${cargoHome}=cargo"]`],
	];
	await mustRun("cargo", args, { cwd: tree, env: { CARGO_TARGET_DIR: target } });
	mkdirSync(folder, { recursive: true });
	const module = join(folder, "compiled.wasm");
	copyFileSync(join(target, TARGET, how.profile, "featheredge.wasm"), module);
	return module;
}

/**
 * Runs wasm-bindgen over a compiled module.
 *
 * @param {string} compiled
 * @param {string} name what both files are to be called; they stand beside `compiled`
 * @param {string[]} [args]
 * @returns {Promise<{ wasm: string, glue: string }>} the module and its JavaScript side
 */
async function bind(compiled, name, args = []) {
	const outDir = dirname(compiled);
	await mustRun(await buildBindgen(), [
		...["bindgen", compiled, "--target", "web", "--out-dir", outDir, "--out-name", name],
		...["--omit-default-module-path", "--remove-producers-section", "--experimental-reset-state-function", ...args],
	]);
	return { wasm: join(outDir, `${name}_bg.wasm`), glue: join(outDir, `${name}.js`) };
}

/**
 * The module of one host as it is shipped, and its JavaScript side.
 *
 * @param {string} feature of the host
 * @param {string} name what wasm-bindgen calls the files
 * @param {string} level of wasm-opt
 * @param {string[]} [bindgenArgs]
 */
async function buildModule(feature, name, level, bindgenArgs = []) {
	const folder = join(paths.cache, feature);
	const compiled = await compile(feature, folder);
	const optimized = join(folder, "optimized.wasm");
	const inputs = hashInputs([relative(root, compiled), "Cargo.lock", "package-lock.json"], [level, ...bindgenArgs]);
	const glue = join(folder, `${name}.js`);
	await unlessUnchanged(feature, inputs, [optimized, glue], async () => {
		const { wasm } = await bind(compiled, name, bindgenArgs);
		const program = fromRoot("node_modules/binaryen/bin/wasm-opt");
		await mustRun(process.execPath, [program, `-${level}`, wasm, "-o", optimized], { capture: true });
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

/** build/watch/watch.wasm: whoever watches, which hosts load behind the first answer. */
export async function buildWatch({ level = "O3" } = {}) {
	const built = await buildModule("watch", "watch", level, ["--no-typescript"]);
	fill(paths.watch, new Map([["watch.wasm", readFileSync(built.wasm)]]));
	return built;
}

const WORKER_BINDGEN = ["--no-typescript", "--force-enable-abort-handler"];

/** build/worker/index.js, index.wasm and watch.wasm: all that a Worker needs. */
export async function buildWorker({ level = "O3" } = {}) {
	const watch = await buildWatch({ level });
	await fillWorker(paths.worker, await buildModule("worker", "core", level, WORKER_BINDGEN), watch);
}

async function fillWorker(folder, core, watch, tree = fromRoot()) {
	const options = {
		entryPoints: [join(tree, "src/host/worker.mjs")],
		outfile: join(folder, "index.js"),
		alias: { "featheredge-core": core.glue, "featheredge-watch": watch.glue },
		external: ["./*.wasm", "cloudflare:*"],
	};
	const modules = [
		["index.wasm", readFileSync(core.wasm)],
		["watch.wasm", readFileSync(watch.wasm)],
	];
	fill(folder, new Map([...(await bundle(options, folder)), ...modules]));
}

/** The files are ES modules wherever they are looked at from. */
const ES_MODULES = ["package.json", `${JSON.stringify({ type: "module" })}\n`];

/** build/npm/featheredge.js, featheredge.wasm and types: one module for Node, Deno, Bun and browsers, told where its wasm is. */
export async function buildNpm({ level = "O3" } = {}) {
	const { wasm, glue } = await buildModule("npm", "featheredge", level);
	const files = [
		["featheredge.js", readFileSync(glue)],
		["featheredge.d.ts", readFileSync(glue.replace(/js$/, "d.ts"))],
		["featheredge.wasm", readFileSync(wasm)],
		ES_MODULES,
	];
	fill(paths.npm, new Map(files));
	return { wasm, glue };
}

/**
 * build/bench/bench.js and core.wasm: the engine of the npm package with the benchmark framework, for the page and the command line. A
 * module of its own, so that who only serves does not pay for it.
 */
export async function buildBench({ level = "O3" } = {}) {
	const watch = await buildWatch({ level });
	const { wasm, glue } = await buildModule("bench", "core", level, ["--no-typescript"]);
	const options = {
		entryPoints: [fromRoot("src/host/bench/index.mjs")],
		outfile: join(paths.bench, "bench.js"),
		alias: { "featheredge-core": glue, "featheredge-watch": watch.glue },
	};
	const files = [...(await bundle(options, paths.bench)), ["core.wasm", readFileSync(wasm)], ES_MODULES];
	fill(paths.bench, new Map(files));
	return files;
}

/** www/dist: the page, which carries the benchmark's module. */
export async function buildPage(options) {
	await buildBench(options);
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
export async function buildPackage(options) {
	const core = await buildNpm(options);
	const watch = await buildWatch(options);
	const bench = (await buildBench(options)).filter(([name]) => name !== "package.json");
	const ofBench = bench.map(([name, content]) => [join("cli/bench", name), content]);
	await fillPackage(paths.package, core, watch, ofBench);
}

/**
 * The package of sources that are tried and not shipped: compiled quickly, without the benchmark's module.
 *
 * @param {string} folder where it stands, in `package`, and what it is made of
 * @param {{ tree?: string, target?: string }} [options] where the sources are, and cargo's folder for them
 * @returns {Promise<string>} the package
 */
export async function buildQuickPackage(folder, { tree, target } = {}) {
	const built = (name) => buildQuickModule(name, "featheredge", join(folder, name), { tree, target });
	const outDir = join(folder, "package");
	await fillPackage(outDir, await built("npm"), await built("watch"), [], tree);
	return outDir;
}

/**
 * The same of the Worker.
 *
 * @param {string} folder
 * @param {{ tree?: string, target?: string }} [options]
 * @returns {Promise<string>} where the Worker is
 */
export async function buildQuickWorker(folder, { tree, target } = {}) {
	const built = (name, args) => buildQuickModule(name, "core", join(folder, `worker-${name}`), { tree, target }, args);
	const outDir = join(folder, "worker");
	await fillWorker(outDir, await built("worker", WORKER_BINDGEN), await built("watch"), tree);
	return outDir;
}

/** A module that is not optimized; what cargo has left as it was is not bound again. */
async function buildQuickModule(feature, name, folder, { tree, target }, args = ["--no-typescript"]) {
	return bind(await compile(feature, folder, { how: QUICK, tree, target }), name, args);
}

/** Fills a folder with the package: its JavaScript bundled around the modules. */
async function fillPackage(outDir, core, watch, more, tree = fromRoot()) {
	const source = (...parts) => join(tree, "npm", ...parts);
	const packs = { "featheredge-packed": core.wasm, "featheredge-packed-watch": watch.wasm };
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
	const bundled = (entry, outfile, options = {}) =>
		bundle(
			{
				entryPoints: [source("src", entry)],
				...(outfile !== undefined && { outfile: join(outDir, "dist", outfile) }),
				format: "esm",
				// Names stay: a person may meet them in a stack.
				minifyWhitespace: true,
				minifySyntax: true,
				alias: { "featheredge-core": core.glue, "featheredge-watch": watch.glue },
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
	const scripts = await Promise.all([
		bundled("public.js", "engine.js"),
		bundled("watch.js", "watch.js"),
		...HOSTS.map((host) => bundled(`entries/${host}.js`, `${host}.js`)),
		bundled("entries/node.js", "node.cjs", commonJs),
		...STORES.map((store) => bundled(`stores/${store}.js`, `${store}.js`)),
		...STORES.map((store) => bundled(`stores/${store}.js`, `${store}.cjs`, { format: "cjs", platform: "node" })),
		bundled("../cli/featheredge.js", undefined, {
			outdir: join(outDir, "cli"),
			platform: "node",
			// A command's libraries are loaded with it.
			splitting: true,
			chunkNames: "[name]-[hash]",
			external: ["../dist/*", "./bench/bench.js"],
			banner: { js: 'import{createRequire}from"node:module";const require=createRequire(import.meta.url);' },
		}),
	]);
	const types = ["index", ...STORES].flatMap((name) => {
		const text = readFileSync(source("types", `${name}.d.ts`), "utf8");
		return [
			[`dist/${name}.d.ts`, text],
			[`dist/${name}.d.cts`, text.replaceAll('"./index.js"', '"./index.cjs"')],
		];
	});
	const files = [
		["dist/featheredge.wasm", core.wasm],
		["dist/featheredge-watch.wasm", watch.wasm],
		["LICENSE", join(tree, "LICENSE")],
		["README.md", source("README.md")],
		["package.json", source("package.json")],
	].map(([name, path]) => [name, readFileSync(path)]);
	fill(outDir, new Map([...scripts.flat(), ...types, ...files, ...more]));
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
