// What measurements over HTTP run against: an origin, our Worker and Workers written by hand on workerd, and the process that asks them.

import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { Log, LogLevel, Miniflare } from "miniflare";
import { startProgram } from "../tests/support/program.mjs";
import { paths } from "../tests/support/root.mjs";
import { CONFIG_VARIABLE, overlay, readWranglerToml } from "../tests/support/settings.mjs";
import { freePort, serve } from "../tests/support/workerd.mjs";

export const PATH = "/get-online-features";

/**
 * Serves an origin that gives what `answer` makes of a body.
 *
 * @returns {Promise<{ url: string, port: number, calls: number, stop: () => void }>}
 */
export async function serveOrigin(answer) {
	const origin = { calls: 0 };
	const server = createServer((request, response) => {
		const chunks = [];
		request.on("data", (chunk) => chunks.push(chunk));
		request.on("end", () => {
			origin.calls += 1;
			const body = answer(Buffer.concat(chunks));
			response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body);
		});
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address();
	return Object.assign(origin, { port, url: `http://127.0.0.1:${port}`, stop: () => server.close() });
}

/** Serves one of the peers as a Worker on a workerd of its own, as bare as ours. */
export async function servePeer(name, origin) {
	const { outputFiles } = await build({
		entryPoints: [fileURLToPath(new URL(`peers/${name}.mjs`, import.meta.url))],
		bundle: true,
		format: "esm",
		write: false,
	});
	const port = await freePort();
	const { compatibility_date: compatibilityDate } = readWranglerToml();
	const miniflare = new Miniflare({
		cf: false,
		log: new Log(LogLevel.WARN),
		host: "127.0.0.1",
		name,
		modules: true,
		script: outputFiles[0].text,
		compatibilityDate,
		compatibilityFlags: ["nodejs_compat"],
		bindings: { ORIGIN: origin.url },
		kvNamespaces: ["FEATURES"],
		unsafeDirectSockets: [{ host: "127.0.0.1", port }],
	});
	await miniflare.ready;
	return { port, stop: () => miniflare.dispose() };
}

/**
 * Serves the built Worker before `origin`, with `vars` laid over its configuration; `entry` is a module to put before it, and `services`
 * are the addresses of what it is bound to.
 */
export async function serveOurs(origin, vars, entry, secrets = {}, services = {}) {
	const port = await freePort();
	const over = { origin: { kind: "http", url: origin.url }, limits: { cells: 1_000_000 }, ...vars };
	const config = overlay(readWranglerToml().vars?.[CONFIG_VARIABLE] ?? {}, over);
	const { url, stop } = await serve({ vars: { ...secrets, [CONFIG_VARIABLE]: config }, port, entry, services });
	return { port, url, stop };
}

/** Starts a program that prints where it serves, as JSON. */
async function startServer(args) {
	const program = startProgram(process.execPath, args);
	const [, url] = await program.prints(/"url":"([^"]+)"/);
	return { port: Number(new URL(url).port), url, stop: () => program.stop() };
}

/** Serves the built package's command line before `origin`. */
export async function serveCli(origin) {
	const folder = mkdtempSync(join(tmpdir(), "featheredge-bench-"));
	const config = join(folder, "featheredge.json");
	writeFileSync(config, JSON.stringify({ limits: { cells: 1_000_000 } }));
	const args = ["serve", "--port", "0", "--json", "--origin", origin.url, "--config", config];
	const server = await startServer([join(paths.package, "cli/featheredge.js"), ...args]);
	rmSync(folder, { recursive: true });
	return server;
}

/** Serves the peer on Node; with `constant`, the one that returns constant bytes. */
export const serveNodePeer = (origin, ...kind) =>
	startServer([fileURLToPath(new URL("peers/node-json.mjs", import.meta.url)), origin.url, ...kind]);

/** The process that asks: `run` sends the bodies, and the tokens, by turns, over and over on so many connections, and tells how it went. */
export function startLoad() {
	const load = fork(fileURLToPath(new URL("load.mjs", import.meta.url)));
	return {
		async run({ port }, { bodies, tokens = [], connections, millis }) {
			load.send({ port, path: PATH, bodies: bodies.map(String), tokens, connections, millis });
			const [result] = await once(load, "message");
			return result;
		},
		stop: () => load.disconnect(),
	};
}
