// How soon the package answers in a process that is new, on each host, and how much a host downloads for it.
//
// Where a process is started for each, time begins in it, at its first line, so what the host itself takes is left out.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { chromium as playwright } from "playwright-core";
import { ARGUMENTS, chromium } from "../tests/support/chromium.mjs";
import { fromRoot, paths } from "../tests/support/root.mjs";
import { readWranglerToml } from "../tests/support/settings.mjs";
import { allowed } from "./measure.mjs";

const ROUNDS = 9;
const ANSWER = `const engine = await createEngine({ config: { origin: { delay_ms: 0 } } });
	await engine.serve({ entity_ids: ["a"], feature_names: ["score"] });`;

/** The module that a Worker is deployed with. */
const WASM = ["featheredge.wasm"];

const dist = (name) => join(paths.package, "dist", name);

/** Milliseconds of each round of a program, each in a process of its own, or nothing where the host does not run here. */
function inProcesses(command, args) {
	if (!command.startsWith("/") || existsSync(command)) {
		const once = () => Number(spawnSync(command, args, { encoding: "utf8" }).stdout);
		const times = Array.from({ length: ROUNDS }, once);
		if (times.every((time) => time > 0)) return times;
	}
	return undefined;
}

const program = (load) => `const began = performance.now();
	(async () => {
		const { createEngine } = ${load};
		${ANSWER}
		console.log(performance.now() - began);
	})();`;

const imported = (name) => program(`await import(${JSON.stringify(`file://${dist(name)}`)})`);

/** A page, new for each round, in one browser: its cache is empty. */
async function inChromium() {
	if (!chromium()) return undefined;
	const types = { js: "text/javascript", wasm: "application/wasm" };
	const server = createServer((request, response) => {
		if (request.url === "/") return response.setHeader("content-type", "text/html").end("<!doctype html>");
		const name = request.url.slice(1);
		if (!existsSync(dist(name))) return response.writeHead(404).end();
		response.setHeader("content-type", types[name.split(".").at(-1)] ?? "text/plain");
		response.end(readFileSync(dist(name)));
	});
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	const browser = await playwright.launch({ executablePath: chromium(), args: ARGUMENTS });
	try {
		const times = [];
		for (let round = 0; round < ROUNDS; round++) {
			const context = await browser.newContext();
			const page = await context.newPage();
			await page.goto(`http://127.0.0.1:${server.address().port}/`);
			times.push(
				await page.evaluate(`(async () => {
					const began = performance.now();
					const { createEngine } = await import("/browser.js");
					${ANSWER}
					return performance.now() - began;
				})()`),
			);
			await context.close();
		}
		return times;
	} finally {
		await browser.close();
		server.close();
	}
}

/** A Worker's first request beside its second, seen from here: the runtime's own clock stands still meanwhile. */
async function inWorkerd(folder) {
	const root = join(folder, "workerd");
	mkdirSync(root);
	const main = join(root, "main.js");
	writeFileSync(
		main,
		`import { createEngine } from ${JSON.stringify(dist("workerd.js"))};
		let engine;
		export default { async fetch() {
			engine ??= createEngine({ config: { origin: { delay_ms: 0 } } });
			const answer = await (await engine).serve({ entity_ids: ["a"], feature_names: ["score"] });
			return Response.json(answer);
		} };`,
	);
	const outfile = join(root, "index.js");
	await build({ entryPoints: [main], bundle: true, format: "esm", outfile, external: ["*.wasm"], logLevel: "error" });
	const times = [];
	for (let round = 0; round < ROUNDS; round++) {
		const miniflare = new Miniflare({
			cf: false,
			workers: [
				{
					name: "start",
					compatibilityDate: readWranglerToml().compatibility_date,
					modulesRoot: root,
					modules: [
						{ type: "ESModule", path: outfile },
						...WASM.map((name) => ({
							type: "CompiledWasm",
							path: join(root, name),
							contents: readFileSync(dist(name)),
						})),
					],
				},
			],
		});
		const url = await miniflare.ready;
		const ask = async () => {
			const began = performance.now();
			const response = await fetch(url);
			await response.text();
			if (!response.ok) throw new Error(`the Worker answered ${response.status}`);
			return performance.now() - began;
		};
		const first = await ask();
		times.push(first - (await ask()));
		await miniflare.dispose();
	}
	return times;
}

/** Compiling, instantiating and the first answer, with the module's bytes at hand, in a new Node process. */
const instantiated = `const { readFileSync } = await import("node:fs");
	const { createEngine } = await import(${JSON.stringify(`file://${dist("node.js")}`)});
	const wasm = readFileSync(${JSON.stringify(dist("featheredge.wasm"))});
	const began = performance.now();
	const engine = await createEngine({ wasm, config: { origin: { delay_ms: 0 } } });
	await engine.serve({ entity_ids: ["a"], feature_names: ["score"] });
	console.log(performance.now() - began);`;

/** @returns {Promise<{ starts: Record<string, number[] | undefined>, instantiated: number[] }>} milliseconds of each round by host */
export async function measureStarts() {
	const folder = mkdtempSync(join(tmpdir(), "featheredge-start-"));
	try {
		const commonJs = join(folder, "main.cjs");
		writeFileSync(commonJs, program(`require(${JSON.stringify(dist("node.cjs"))})`));
		return {
			starts: {
				"Node, import": inProcesses(process.execPath, ["--input-type=module", "-e", imported("node.js")]),
				"Node, require": inProcesses(process.execPath, [commonJs]),
				Deno: inProcesses(fromRoot("node_modules/@deno/linux-x64-glibc/deno"), ["eval", imported("deno.js")]),
				Bun: inProcesses(fromRoot("node_modules/@oven/bun-linux-x64/bin/bun"), ["-e", imported("node.js")]),
				Chromium: await inChromium(),
				workerd: await inWorkerd(folder),
			},
			instantiated: inProcesses(process.execPath, ["--input-type=module", "-e", instantiated]),
		};
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

/** What is downloaded, in bytes: by npm, and by a host, gzipped. */
export function measureSizes() {
	const folder = mkdtempSync(join(tmpdir(), "featheredge-pack-"));
	try {
		const args = ["pack", paths.package, "--pack-destination", folder, "--json"];
		const { stdout } = spawnSync("npm", args, { encoding: "utf8" });
		const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf("[")));
		const gzipped = (path) => gzipSync(readFileSync(path), { level: 9 }).length;
		return {
			tarball: statSync(join(folder, filename)).size,
			javascript: gzipped(dist("engine.js")) + gzipped(dist("node.js")),
			wasm: gzipped(dist("featheredge.wasm")),
			worker: gzipped(join(paths.worker, "index.wasm")),
		};
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

const KILOBYTE = 1_024;
/** What the Worker's and the package's modules may have, and the package's JavaScript, gzipped, in bytes. */
const LIMITS = { worker: 380 * KILOBYTE, wasm: 360 * KILOBYTE, javascript: 20 * KILOBYTE };
const START_LIMIT_MILLIS = 10;

/** @returns rows of size and start that `isWanted`: what is used beside what is allowed */
export async function measureSizeAndStart(isWanted) {
	const rows = [];
	if (isWanted("size")) {
		const sizes = measureSizes();
		for (const [what, limit] of Object.entries(LIMITS)) {
			const name = `size ${what}, gzipped`;
			rows.push(allowed({ name, unit: "KB" }, [sizes[what] / KILOBYTE], limit / KILOBYTE));
		}
	}
	if (isWanted("start")) {
		const { instantiated } = await measureStarts();
		const name = "start, module to first response, Node";
		rows.push(allowed({ name, unit: "ms" }, instantiated, START_LIMIT_MILLIS));
	}
	return rows;
}
