// The Worker's entry: connects the gateway to the platform's requests, stores, rate limiters, Durable
// Objects and static files.
//
// It is JavaScript because every export of the `worker` crate's own build becomes callable over RPC.
// Invariant: the only exports are `fetch` and the Durable Object classes, which only a Worker with a binding
// to them can call.

import { ConfigError } from "../errors.js";
import { Access } from "../gateway/access.js";
import { Gateway } from "../gateway/gateway.js";
import { Handler } from "../gateway/handler.js";
import { badTarget, notFound } from "../gateway/reply.js";
import { targetOf } from "../gateway/target.js";
import { replyOf, responseOf, WebRequest } from "../gateway/web.js";
import * as instance from "../runtime/instance.js";
import { Runtime } from "../runtime/runtime.js";
import { post } from "../runtime/telemetry.js";
import wasmModule from "./index.wasm";
import { WorkerOrigin } from "./origin.js";
import { backendsOf, sealFromEnv } from "./stores.js";

export { InvalidationLog, MergedWindows, StorageShard } from "./durable_objects.js";

/** The secret with the `Authorization` of requests to the origin. */
const ORIGIN_AUTHORIZATION = "FEATHEREDGE_ORIGIN_AUTHORIZATION";
/** The secrets with the `Authorization` of telemetry, by the kind of sink. */
const AUTHORIZATIONS = { webhook: "FEATHEREDGE_WEBHOOK_AUTHORIZATION", traces: "FEATHEREDGE_TRACES_AUTHORIZATION" };

/** The most rows that one request writes to KV: a Worker may make 1,000 calls of all kinds for it. */
const MAX_KV_WRITES = 500;

instance.start(wasmModule);

/**
 * This isolate's gateway, created by its first request, which brings the bindings.
 *
 * @type {Gateway | undefined}
 */
let gateway;

/** @param {Record<string, any>} env */
function begin(env) {
	const config = env.FEATHEREDGE;
	const access = new Access(config?.auth, env, (name) => env[name]);
	const sealing = sealFromEnv(env);
	// Without a valid key nothing may be stored in clear.
	if (sealing.fault !== undefined) return new Gateway({ access, fault: sealing.fault });
	const { pseudonymizesKeys } = sealing;
	const authorization = env[ORIGIN_AUTHORIZATION];
	const headers = authorization ? { authorization } : {};
	try {
		const runtime = new Runtime({
			config,
			maxL2Writes: MAX_KV_WRITES,
			hasLog: true,
			shardSecret: pseudonymizesKeys ? sealing.hmacSecret : undefined,
			connect: (bindings) => backendsOf(env, bindings, sealing.seal),
			origin: new WorkerOrigin(config?.origin?.url, { headers, redactsErrors: pseudonymizesKeys }),
			clock: Date.now,
			redactsErrors: pseudonymizesKeys,
			send: (kind, to, body, signal) => send(env, kind, to, body, signal),
			onFault: console.error,
		});
		return new Gateway({ access, handler: new Handler(runtime, (request) => asset(request, env)) });
	} catch (error) {
		if (!(error instanceof ConfigError)) throw error;
		return new Gateway({ access, fault: error.message });
	}
}

/** Sends telemetry to a sink. */
async function send(env, kind, to, body, signal) {
	switch (kind) {
		case "windows":
			return env[to].getByName("all").merge(body);
		case "analytics":
			for (const point of JSON.parse(new TextDecoder().decode(body))) env[to].writeDataPoint(point);
			return;
		default:
			return post(to, body, env[AUTHORIZATIONS[kind]], signal);
	}
}

/** Serves a static file. */
async function asset({ method, path, headers }, env) {
	if (env.ASSETS === undefined) return notFound("the Worker has no static files");
	return replyOf(await env.ASSETS.fetch(new Request(`http://assets.invalid${path}`, { method, headers })));
}

export default {
	/**
	 * @param {Request} request
	 * @param {Record<string, any>} env
	 * @param {ExecutionContext} ctx
	 * @returns {Promise<Response>}
	 */
	async fetch(request, env, ctx) {
		gateway ??= begin(env);
		const target = targetOf(request.url);
		if (target === undefined) return responseOf(badTarget());
		const plain = new WebRequest(request, target, {
			address: request.headers.get("cf-connecting-ip") ?? "",
			waitUntil: (done) => ctx.waitUntil(done),
			isFromPlatform: true,
		});
		const reply = await gateway.handle(plain);
		await plain.release();
		return responseOf(reply);
	},
};
