// `featheredge serve`: the HTTP API on Node, with Redis as L2.

import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { EXIT, Failure } from "./failure.js";
import { makeEngine } from "./world.js";

/** How long requests may go on after a signal, in milliseconds. */
const LAST_MILLIS = 10_000;

export async function serve(options) {
	const {
		FEATHEREDGE_OPERATOR_TOKEN: operatorToken,
		FEATHEREDGE_WEBHOOK_AUTHORIZATION: webhook,
		FEATHEREDGE_TRACES_AUTHORIZATION: traces,
	} = process.env;
	const world = await makeEngine(options, { operatorToken, authorizations: { webhook, traces } });
	// The global `Request` and `Response` stay Node's own: nothing else in this process needs lighter ones.
	const listener = getRequestListener(world.engine.fetch, { overrideGlobalObjects: false });
	const server = createServer(listener);
	try {
		await new Promise((resolve, reject) => {
			server.once("error", reject);
			server.listen(options.port, options.host, resolve);
		});
	} catch (error) {
		await world.close();
		const isTaken = error.code === "EADDRINUSE";
		throw new Failure(
			isTaken ? `port ${options.port} is taken: choose another with \`--port\`` : error.message,
			EXIT.failed,
		);
	}
	const { address, port, family } = server.address();
	const url = `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
	console.log(options.json ? JSON.stringify({ ready: true, url }) : `ready on ${url}`);
	await new Promise((resolve) => {
		for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, resolve);
	});
	const closed = new Promise((resolve) => server.close(resolve));
	server.closeIdleConnections();
	const timer = setTimeout(() => server.closeAllConnections(), LAST_MILLIS);
	await closed;
	clearTimeout(timer);
	await world.close();
}
