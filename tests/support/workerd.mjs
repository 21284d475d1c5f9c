// Serves the built Worker on real workerd, with miniflare's local KV, Durable Objects and static assets. The socket leads straight to the Worker:
// miniflare's own entry, which rewrites and logs each request, is not in the path.

import { randomInt } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Log, LogLevel, Miniflare } from "miniflare";
import { paths } from "./root.mjs";
import { Failure } from "./run.mjs";
import { readWranglerToml } from "./settings.mjs";

const HOST = "127.0.0.1";
/** The modules of the Worker beside its JavaScript. */
const WASM = ["index.wasm"];
const NAME = "featheredge";
// With static assets, miniflare puts a proxy before the default entrypoint, and before no other.
const ENTRYPOINT = "direct";
const ENTRY = `import worker from "./index.js";\nexport * from "./index.js";\nexport default worker;\nexport const ${ENTRYPOINT} = worker;\n`;

/** The folders of the stores that are kept: KV's, and the Durable Objects'. */
export const STORES = ["kv", "objects"];

/** Below the ports that systems give to outgoing connections (32768 on Linux, 49152 elsewhere): one of those may be taken meanwhile. */
const PORTS = { from: 20_000, to: 32_000 };

/** A loopback port that nobody listens on, and that no outgoing connection will be given. */
export async function freePort() {
	for (;;) {
		const port = randomInt(PORTS.from, PORTS.to);
		if (await isFree(port)) return port;
	}
}

function isFree(port) {
	return new Promise((resolve) => {
		const server = createServer().once("error", () => resolve(false));
		server.listen(port, HOST, () => server.close(() => resolve(true)));
	});
}

const portTaken = (port) =>
	new Failure(`port ${port} is taken by another program: stop that one, or choose a port with \`--port\``);

/** Fails when somebody listens on the port, before a long build finds out. */
export function checkPort(port) {
	return new Promise((resolve, reject) => {
		const server = createServer();
		server.once("error", (error) =>
			reject(
				error.code === "EADDRINUSE" ? portTaken(port) : new Failure(`cannot listen on port ${port}: ${error.code}`),
			),
		);
		server.listen(port, HOST, () => server.close(resolve));
	});
}

/**
 * Waits until the Worker answers `GET /health`.
 *
 * @param {string} url
 * @param {number} timeoutMs
 */
export async function waitForHealth(url, timeoutMs = 20_000) {
	const deadline = Date.now() + timeoutMs;
	let last;
	while (Date.now() < deadline) {
		try {
			const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) });
			const body = await response.text();
			// A Worker that cannot use its configuration says so at every path, and waiting mends nothing.
			if (response.ok || body.includes("problem:invalid-configuration")) return;
			last = `status ${response.status}`;
		} catch (error) {
			last = error.cause?.code ?? error.message;
		}
		await new Promise((resolve) => setTimeout(resolve, 25));
	}
	throw new Failure(`${url}/health did not answer within ${timeoutMs} ms: ${last}`);
}

/**
 * @param {object} options
 * @param {Record<string, any>} options.vars all variables of the Worker, secrets included
 * @param {number} options.port
 * @param {string | false} [options.persist] a folder for the stores; without one, they live as long as the Worker
 * @param {{ name: string, contents: string }} [options.entry] an ES module to put before the Worker; it must export `direct`, and
 *   what the Worker exports
 * @param {number[]} [options.twinPorts] where further Workers are served, in isolates of their own over the same stores
 * @param {typeof options.entry} [options.twinEntry] in place of `entry`, before these
 * @param {Record<string, { simple: { limit: number, period: 10 | 60 } }>} [options.rateLimits] rate limiters by their bindings, beside
 *   those of wrangler.toml
 * @param {string} [options.folder] where the built Worker is
 * @param {Record<string, string>} [options.services] the addresses of HTTP servers by the bindings under which the Worker has them
 * @param {(line: string) => void} [options.onLog] takes the lines that the Worker logs
 * @returns {Promise<{ url: string, miniflare: Miniflare, stop(): Promise<void> }>}
 */
export async function serve(options) {
	const {
		vars,
		port,
		persist = false,
		entry,
		twinPorts = [],
		twinEntry = entry,
		rateLimits,
		services = {},
		folder = paths.worker,
		onLog = console.log,
	} = options;
	const file = readWranglerToml();
	const [kvPersist, durableObjectsPersist] = STORES.map((kind) => persist && join(persist, kind));
	const mainOf = (name) => (name === NAME ? entry : twinEntry) ?? { name: "local.mjs", contents: ENTRY };
	const modulePath = (name) => join(folder, name);
	const assets = file.assets && existsSync(join(paths.page, "index.html"));
	const worker = (name, port, main = mainOf(name)) => ({
		name,
		compatibilityDate: file.compatibility_date,
		compatibilityFlags: file.compatibility_flags ?? [],
		modulesRoot: folder,
		modules: [
			{ type: "ESModule", path: modulePath(main.name), contents: main.contents },
			{ type: "ESModule", path: modulePath("index.js"), contents: readFileSync(modulePath("index.js"), "utf8") },
			...WASM.map((name) => ({
				type: "CompiledWasm",
				path: modulePath(name),
				contents: readFileSync(modulePath(name)),
			})),
		],
		bindings: vars,
		serviceBindings: Object.fromEntries(
			Object.entries(services).map(([binding, address]) => [binding, { external: { address, http: {} } }]),
		),
		kvNamespaces: Object.fromEntries((file.kv_namespaces ?? []).map(({ binding }) => [binding, binding.toLowerCase()])),
		durableObjects: Object.fromEntries(
			(file.durable_objects?.bindings ?? []).map(({ name: binding, class_name: className }) => [
				binding,
				// The objects are the first Worker's.
				{ className, useSQLite: true, scriptName: name === NAME ? undefined : NAME },
			]),
		),
		ratelimits: {
			...Object.fromEntries((file.ratelimits ?? []).map(({ name, simple }) => [name, { simple }])),
			...rateLimits,
		},
		assets:
			assets && name === NAME
				? { directory: paths.page, binding: file.assets.binding, routerConfig: { has_user_worker: true } }
				: undefined,
		unsafeDirectSockets: [{ host: HOST, port, entrypoint: ENTRYPOINT }],
	});
	const miniflare = new Miniflare({
		// Without this, miniflare downloads an example of `request.cf`.
		cf: false,
		log: new Log(LogLevel.WARN),
		host: HOST,
		kvPersist,
		durableObjectsPersist,
		handleRuntimeStdio(stdout, stderr) {
			for (const stream of [stdout, stderr]) forwardLines(stream, onLog);
		},
		workers: [worker(NAME, port), ...twinPorts.map((port, index) => worker(`${NAME}-${index + 2}`, port))],
	});
	const stop = () => miniflare.dispose();
	try {
		await miniflare.ready;
		const url = `http://${HOST}:${port}`;
		await waitForHealth(url);
		return { url, miniflare, stop };
	} catch (error) {
		await stop();
		throw error.code === "ERR_ADDRESS_IN_USE" ? portTaken(port) : error;
	}
}

function forwardLines(stream, onLine) {
	let rest = "";
	stream.setEncoding("utf8");
	stream.on("data", (text) => {
		const lines = (rest + text).split("\n");
		rest = lines.pop();
		for (const line of lines) if (line.trim() !== "") onLine(line);
	});
}
