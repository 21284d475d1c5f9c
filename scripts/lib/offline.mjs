// Cuts a program off the network, and tells whether it tried to reach it. On Linux it runs in a network namespace with nothing but
// loopback. Everywhere its proxy variables name a proxy on loopback that refuses and writes down whatever it is asked for.

import { createServer } from "node:http";
import { run } from "../../tests/support/run.mjs";

/** How to begin a command so that it runs without a network; empty where the system has no way. */
export async function namespacePrefix() {
	if (process.platform !== "linux") return [];
	const script = 'ip link set lo up && exec "$@"';
	for (const flags of [["-n"], ["-rn"]]) {
		const prefix = ["unshare", ...flags, "--", "sh", "-c", script, "sh"];
		const tried = await run(prefix[0], [...prefix.slice(1), "true"], { capture: true }).catch(() => undefined);
		if (tried?.code === 0) return prefix;
	}
	return [];
}

/**
 * Starts the proxy that refuses and records.
 *
 * @returns {Promise<{ env: NodeJS.ProcessEnv, attempts: string[], stop(): void }>} the variables for the programs to watch
 */
export async function startRecordingProxy() {
	/** @type {string[]} */
	const attempts = [];
	const server = createServer((request, response) => {
		attempts.push(`${request.method} ${request.url}`);
		response.writeHead(502).end("no downloads here\n");
	});
	server.on("connect", (request, socket) => {
		attempts.push(`CONNECT ${request.url}`);
		socket.on("error", () => {});
		socket.end("HTTP/1.1 502 No downloads here\r\n\r\n");
	});
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	const proxy = `http://127.0.0.1:${server.address().port}`;
	const local = "127.0.0.1,localhost,::1";
	const env = {
		CARGO_NET_OFFLINE: "true",
		npm_config_offline: "true",
		PIP_NO_INDEX: "1",
		NO_PROXY: local,
		no_proxy: local,
	};
	for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]) {
		env[name] = proxy;
		env[name.toLowerCase()] = proxy;
	}
	return { env, attempts, stop: () => server.close() };
}
