// `featheredge serve`: the gateway over Node's server, with Redis as L2. What of the configuration it cannot do, it refuses to start with.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { steadyClock } from "../src/clock.js";
import { Access } from "../src/gateway/access.js";
import { Gateway } from "../src/gateway/gateway.js";
import { Handler } from "../src/gateway/handler.js";
import { listenerOf } from "../src/gateway/node.js";
import { nodeFetch } from "../src/gateway/node_fetch.js";
import { HttpOrigin } from "../src/gateway/origin.js";
import { rateLimiter } from "../src/gateway/rate_limit.js";
import { instantiate } from "../src/runtime/instance.js";
import { Runtime } from "../src/runtime/runtime.js";
import { post } from "../src/runtime/telemetry.js";
import { EXIT, Failure } from "./failure.js";
import { connectStore, readSettings } from "./world.js";

/** How long requests may go on after a signal, in milliseconds. */
const LAST_MILLIS = 10_000;

/** How long after that what they have left to write may take, in milliseconds. */
const CLOSING_MILLIS = 1_000;

/** How long a request's head may be, in bytes: credentials that are too long are refused in words, as by the Worker. */
const MAX_HEAD_BYTES = 64 * 1024;

export async function serve(options) {
	const { config, rateLimiters } = await settingsOf(options);
	const access = new Access(config.auth, process.env, (name) => rateLimiters.get(name));
	if (access.fault !== undefined) refuse(access.fault);
	const store = await connectStore(options.redis);
	let runtime;
	const end = async () => {
		await runtime?.close();
		store?.disconnect();
	};
	const server = createServer({ maxHeaderSize: MAX_HEAD_BYTES });
	try {
		await instantiate(() => readFile(new URL("../dist/featheredge.wasm", import.meta.url)));
		runtime = runtimeOf(config, store?.l2);
		server.on("request", listenerOf(new Gateway({ access, handler: new Handler(runtime) })));
		await listen(server, options);
	} catch (error) {
		await end();
		throw error;
	}
	const { address, port, family } = server.address();
	const url = `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
	console.log(options.json ? JSON.stringify({ ready: true, url }) : `ready on ${url}`);
	await new Promise((resolve) => {
		for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, resolve);
	});
	const timer = setTimeout(() => {
		server.closeAllConnections();
		// A write that the origin has not answered to by now is not waited for.
		setTimeout(() => process.exit(), CLOSING_MILLIS).unref();
	}, LAST_MILLIS);
	await new Promise((resolve) => {
		server.close(resolve);
		server.closeIdleConnections();
	});
	await end();
	clearTimeout(timer);
	// Node's `fetch`, by which telemetry is sent, keeps the process for a connection whose answer had a length and no body, as one of 304 may.
	process.exit();
}

function refuse(what) {
	throw new Failure(what, EXIT.configuration);
}

async function listen(server, { port, host }) {
	try {
		await new Promise((resolve, reject) => {
			server.once("error", reject);
			server.listen(port, host, resolve);
		});
	} catch (error) {
		const isTaken = error.code === "EADDRINUSE";
		throw new Failure(isTaken ? `port ${port} is taken: choose another with \`--port\`` : error.message, EXIT.failed);
	}
}

/** @param {Record<string, any>} config */
function runtimeOf(config, l2) {
	const { FEATHEREDGE_ORIGIN_AUTHORIZATION: authorization } = process.env;
	const { FEATHEREDGE_WEBHOOK_AUTHORIZATION: webhook, FEATHEREDGE_TRACES_AUTHORIZATION: traces } = process.env;
	const authorizations = { webhook, traces };
	const isPrivate = config.pseudonymize_keys === true;
	if (isPrivate && l2 !== undefined && !l2.hidesKeys) {
		refuse("`pseudonymize_keys` needs `FEATHEREDGE_STORE_ENCRYPTION_KEYS`, with `hmac_secret`");
	}
	const headers = authorization ? { authorization } : {};
	return new Runtime({
		config: { ...config, l2: { ...config.l2, ...(l2 === undefined && { enabled: false }) } },
		connect: () => ({ stores: { l2_distributed: l2 } }),
		origin: new HttpOrigin(config.origin?.url, { headers, isPrivate, fetch: nodeFetch, passesCoded: true }),
		clock: steadyClock(),
		isPrivate,
		isHeard: config.alerts?.webhook_url !== undefined || config.telemetry?.traces_url !== undefined,
		send: (kind, to, body, signal) => post(to, body, authorizations[kind], signal),
		onFault: console.error,
	});
}

/** What the options, and the file that they name, say; fails where this server cannot do it. */
async function settingsOf(options) {
	const { config, rateLimits } = await readSettings(options.config);
	const { auth, l3, telemetry } = config;
	if (l3?.enabled) {
		refuse(
			"`l3.enabled`: the Worker alone has the storage tier, which is of Durable Objects; leave it out, and see `--redis`",
		);
	}
	if (telemetry?.aggregate || telemetry?.analytics_binding !== undefined) {
		refuse(
			"`telemetry.aggregate` and `telemetry.analytics_binding` are for the Worker, which has these places; leave them out, and see `GET /metrics`",
		);
	}
	if (!Array.isArray(rateLimits)) refuse("`ratelimits` is no list: write `[[ratelimits]]`, in double brackets");
	const rateLimiters = new Map(rateLimits.map(({ name, simple }) => [name, limiterOf(name, simple)]));
	const binding = auth?.rate_limit_binding ?? undefined;
	if (binding !== undefined && !rateLimiters.has(binding)) {
		refuse(
			`\`auth.rate_limit_binding\` names \`${binding}\`, which the file has not: add \`[[ratelimits]]\` with \`name = "${binding}"\` and \`simple = { limit = 1000, period = 60 }\``,
		);
	}
	const url = options.origin ?? config.origin?.url;
	const kind = options.origin === undefined ? (config.origin?.kind ?? "http") : "http";
	const origin = url === undefined ? config.origin : { ...config.origin, kind, url };
	return { config: { ...config, ...(origin !== undefined && { origin }) }, rateLimiters };
}

function limiterOf(name, simple) {
	const { limit, period } = simple ?? {};
	if (!(limit > 0 && period > 0)) {
		refuse(`\`ratelimits\`: \`${name}\` needs \`simple\` with a \`limit\` and a \`period\` in seconds`);
	}
	return rateLimiter({ limit, period });
}
