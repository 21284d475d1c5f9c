// `featheredge serve`: the gateway over Node's HTTP server, with Redis as L2. It refuses a configuration
// that only the Worker supports.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { steadyClock } from "../src/clock.js";
import { Access } from "../src/gateway/access.js";
import { Gateway } from "../src/gateway/gateway.js";
import { Handler } from "../src/gateway/handler.js";
import { listenerOf } from "../src/gateway/node.js";
import { HttpOrigin } from "../src/gateway/origin.js";
import { rateLimiter } from "../src/gateway/rate_limit.js";
import { instantiate } from "../src/runtime/instance.js";
import { Runtime } from "../src/runtime/runtime.js";
import { post } from "../src/runtime/telemetry.js";
import { connectStore } from "./connections.js";
import { EXIT, Failure } from "./failure.js";
import { onSignal } from "./interrupt.js";
import { reportingFetch } from "./origin-fetch.js";
import { print, printJson } from "./output.js";
import { readSettings } from "./settings.js";

/** How long requests may continue after a signal, in milliseconds. */
const GRACE_PERIOD_MS = 10_000;

/** How long pending writes may take after that, in milliseconds. */
const CLOSING_MS = 1_000;

/**
 * The longest head of a request, in bytes: longer credentials than allowed get a problem, as from the
 * Worker.
 */
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
	// Who reads that it is ready may stop it at once.
	const signalled = new Promise((resolve) => {
		onSignal(() => resolve());
	});
	if (options.json) printJson({ ready: true, url });
	else print(`ready on ${url}`);
	await signalled;
	const timer = setTimeout(() => {
		server.closeAllConnections();
		// The process does not wait longer for the origin's response to a write.
		setTimeout(() => process.exit(), CLOSING_MS).unref();
	}, GRACE_PERIOD_MS);
	await new Promise((resolve) => {
		server.close(resolve);
		server.closeIdleConnections();
	});
	await end();
	clearTimeout(timer);
	// Telemetry uses Node's `fetch`. After a 304 with a length its connection would keep the process alive.
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
		const isInUse = error.code === "EADDRINUSE";
		throw new Failure(isInUse ? `port ${port} is in use: choose another with \`--port\`` : error.message, EXIT.failed);
	}
}

/** @param {Record<string, any>} config */
function runtimeOf(config, l2) {
	const { FEATHEREDGE_ORIGIN_AUTHORIZATION: authorization } = process.env;
	const { FEATHEREDGE_WEBHOOK_AUTHORIZATION: webhook, FEATHEREDGE_TRACES_AUTHORIZATION: traces } = process.env;
	const authorizations = { webhook, traces };
	const pseudonymizesKeys = config.pseudonymize_keys === true;
	if (pseudonymizesKeys && l2 !== undefined && !l2.pseudonymizesKeys) {
		refuse("`pseudonymize_keys` needs `FEATHEREDGE_STORE_ENCRYPTION_KEYS`, with `hmac_secret`");
	}
	const headers = authorization ? { authorization } : {};
	const runtime = new Runtime({
		config: { ...config, l2: { ...config.l2, ...(l2 === undefined && { enabled: false }) } },
		connect: () => ({ stores: { l2_distributed: l2 } }),
		origin: new HttpOrigin(config.origin?.url, {
			headers,
			redactsErrors: pseudonymizesKeys,
			fetch: reportingFetch((reason) => runtime.errors.log("the origin", reason)),
			preservesCoding: true,
		}),
		clock: steadyClock(),
		redactsErrors: pseudonymizesKeys,
		exportsTelemetry: config.alerts?.webhook_url !== undefined || config.telemetry?.traces_url !== undefined,
		send: (kind, to, body, signal) => post(to, body, authorizations[kind], signal),
		onFault: console.error,
	});
	return runtime;
}

/** The configuration of the options and their file; fails if this server does not support it. */
async function settingsOf(options) {
	const { config, rateLimits } = await readSettings(options.config);
	const { auth, l3, telemetry } = config;
	if (l3?.enabled) {
		refuse(
			"`l3.enabled`: only the Worker has the storage tier, which consists of Durable Objects; remove it, and see `--redis`",
		);
	}
	if (telemetry?.aggregate || telemetry?.analytics_binding !== undefined) {
		refuse(
			"`telemetry.aggregate` and `telemetry.analytics_binding` need the Worker's bindings; remove them, and see `GET /metrics`",
		);
	}
	const rateLimiters = new Map(rateLimits.map(({ name, simple }) => [name, limiterOf(name, simple)]));
	const binding = auth?.rate_limit_binding ?? undefined;
	if (binding !== undefined && !rateLimiters.has(binding)) {
		refuse(
			`\`auth.rate_limit_binding\` names \`${binding}\`, which the file does not have: add \`[[ratelimits]]\` with \`name = "${binding}"\` and \`simple = { limit = 1000, period = 60 }\``,
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
