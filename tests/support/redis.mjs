// Real redis-servers for tests, one or a cluster, on free loopback ports. `npm test` installs Debian's.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { startProgram } from "./program.mjs";
import { until } from "./wait.mjs";
import { freePort } from "./workerd.mjs";

const HOST = "127.0.0.1";

/** @param {string[]} [args] of redis-server */
export async function startRedis(args = []) {
	const port = await freePort();
	const folder = mkdtempSync(join(tmpdir(), "featheredge-redis-"));
	let program;
	let control;
	const start = async () => {
		const options = ["--port", port, "--bind", HOST, "--save", "", "--appendonly", "no", "--dir", folder, ...args];
		program = startProgram("redis-server", options.map(String));
		await program.prints(/Ready to accept connections/);
		control = new Redis({ port, host: HOST, retryStrategy: null });
		control.on("error", () => {});
	};
	await start();
	return {
		port,
		start,
		call: (...command) => control.call(...command),
		signal: (signal) => process.kill(program.pid, signal),
		/** How often the server ran commands, and read from its clients' sockets. */
		async counts() {
			const stats = await control.info("commandstats");
			const calls = (name) => Number(new RegExp(`^cmdstat_${name}:calls=(\\d+)`, "m").exec(stats)?.[1] ?? 0);
			const reads = /^total_reads_processed:(\d+)/m.exec(await control.info("stats"));
			return { get: calls("get"), mget: calls("mget"), set: calls("set"), reads: Number(reads[1]) };
		},
		async stop(signal) {
			control.disconnect();
			await program.stop(signal);
		},
		folder,
		remove: () => rmSync(folder, { recursive: true, force: true }),
	};
}

/** @param {number} count of masters */
export async function startCluster(count) {
	const servers = [];
	for (let number = 0; number < count; number++) {
		const bus = await freePort();
		servers.push(
			await startRedis(["--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "5000"]),
		);
		servers.at(-1).bus = bus;
	}
	const [first, ...others] = servers;
	const share = Math.ceil(16_384 / count);
	for (const [number, server] of servers.entries()) {
		const range = [number * share, Math.min((number + 1) * share, 16_384) - 1];
		await server.call("CLUSTER", "ADDSLOTSRANGE", ...range.map(String));
	}
	for (const server of others) await first.call("CLUSTER", "MEET", HOST, String(server.port), String(server.bus));
	const isWhole = async (server) => /cluster_state:ok/.test(await server.call("CLUSTER", "INFO"));
	await until(async () => (await Promise.all(servers.map(isWhole))).every(Boolean), { everyMs: 50 });
	return {
		ports: servers.map(({ port }) => port),
		sizes: () => Promise.all(servers.map((server) => server.call("DBSIZE"))),
		async stop() {
			for (const server of servers) {
				await server.stop();
				server.remove();
			}
		},
	};
}
