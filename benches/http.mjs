// The Worker on bare workerd, over HTTP on several connections from another process: all in memory, beside a Worker written by hand
// and beside one that returns constant bytes.

import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { Log, LogLevel, Miniflare } from "miniflare";
import { CONFIG_VARIABLE, overlay, readWranglerToml } from "../scripts/lib/settings.mjs";
import { freePort, serve } from "../scripts/lib/workerd.mjs";
import { compare } from "./measure.mjs";
import { originOf, workload } from "./workload.mjs";

/** What is asked; how ours is to compare with the Worker written by hand, and with the limit. */
const SHAPES = [
	{ entities: 1, features: 5, json: 1, constant: 0.95 },
	{ entities: 100, features: 50, json: 1.7, constant: 0.9 },
];

const CONNECTIONS = 8;
const ROUNDS = 9;
const ROUND_MILLIS = 400;
const PATH = "/get-online-features";

/** Serves an origin, and returns its URL and how to end it. */
async function serveOrigin(answer) {
	const server = createServer((request, response) => {
		const chunks = [];
		request.on("data", (chunk) => chunks.push(chunk));
		request.on("end", () => response.setHeader("content-type", "application/json").end(answer(Buffer.concat(chunks))));
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return { url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

/** Serves one of the peers as a Worker on a workerd of its own, as bare as ours. */
async function servePeer(name, origin) {
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
		unsafeDirectSockets: [{ host: "127.0.0.1", port }],
	});
	await miniflare.ready;
	return { port, stop: () => miniflare.dispose() };
}

async function serveOurs(origin) {
	const port = await freePort();
	const vars = { origin: { kind: "http", url: origin.url }, l2: { enabled: false }, limits: { cells: 1_000_000 } };
	const config = overlay(readWranglerToml().vars?.[CONFIG_VARIABLE] ?? {}, vars);
	const { stop } = await serve({ vars: { [CONFIG_VARIABLE]: config }, port });
	return { port, stop };
}

/** @returns rows for each shape that `isWanted` */
export async function measureHttp(isWanted) {
	const rows = [];
	const load = fork(fileURLToPath(new URL("load.mjs", import.meta.url)));
	try {
		for (const shape of SHAPES) {
			const name = `http ${shape.entities} × ${shape.features}`;
			if (isWanted(name)) rows.push(...(await measureShape(load, name, shape)));
		}
	} finally {
		load.disconnect();
	}
	return rows;
}

async function measureShape(load, name, shape) {
	const { answer, body } = workload(shape);
	const origin = await serveOrigin(originOf({ answer }));
	const servers = [
		await serveOurs(origin),
		await servePeer("worker-json", origin),
		await servePeer("worker-constant", origin),
	];
	const run = async ({ port }, millis) => {
		load.send({ port, path: PATH, body: body.toString(), connections: CONNECTIONS, millis });
		const [result] = await once(load, "message");
		return result;
	};
	try {
		for (const server of servers) await run(server, ROUND_MILLIS * 2);
		const rounds = [];
		for (let number = 0; number < ROUNDS; number++) {
			const results = [];
			for (const server of servers) results.push(await run(server, ROUND_MILLIS));
			rounds.push(results);
		}
		const all = (at, figure) => rounds.map((results) => results[at][figure]);
		const byHand = "a Worker by hand, lru-cache";
		const row = (unit, peerName, goal) => ({ name: unit === "µs" ? name : `${name}, p99`, unit, peerName, goal });
		return [
			compare(row("µs", byHand, shape.json), all(0, "micros"), all(1, "micros")),
			compare(row("µs", "a Worker with constant bytes", shape.constant), all(0, "micros"), all(2, "micros")),
			compare(row("ms", byHand, 1), all(0, "p99"), all(1, "p99")),
		];
	} finally {
		for (const server of servers) await server.stop();
		origin.stop();
	}
}
