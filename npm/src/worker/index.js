// The Worker's entry: the gateway over the platform's requests, stores, rate limiters, objects and static files.
//
// It is JavaScript, and not what the `worker` crate's own build makes: whatever that exports becomes callable over RPC. Here the only
// exports are `fetch` and the Durable Objects' classes, which none but a Worker bound to them can call.

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
import { reachOf, sealingOf } from "./stores.js";

export { InvalidationLog, MergedWindows, StorageShard } from "./durable.js";

/** The secret that holds the value of the `Authorization` header for the origin. */
const ORIGIN_AUTHORIZATION = "FEATHEREDGE_ORIGIN_AUTHORIZATION";
/** The secrets that go along to the places of telemetry, by the kind of place. */
const AUTHORIZATIONS = { webhook: "FEATHEREDGE_WEBHOOK_AUTHORIZATION", traces: "FEATHEREDGE_TRACES_AUTHORIZATION" };

/** How many rows one request writes to KV, of the 1,000 calls of all kinds that a Worker may make for it. */
const MAX_KV_WRITES = 500;

instance.start(wasmModule);

/** What serves this isolate, once a first request has brought its bindings. @type {Gateway | undefined} */
let gateway;

/** @param {Record<string, any>} env */
function begin(env) {
	const config = env.FEATHEREDGE;
	const access = new Access(config?.auth, env, (name) => env[name]);
	const sealing = sealingOf(env);
	// Nothing may be stored in clear for want of a key.
	if (sealing.fault !== undefined) return new Gateway({ access, fault: sealing.fault });
	const { isPrivate } = sealing;
	const authorization = env[ORIGIN_AUTHORIZATION];
	const headers = authorization ? { authorization } : {};
	try {
		const runtime = new Runtime({
			config,
			maxL2Writes: MAX_KV_WRITES,
			hasLog: true,
			shardSecret: isPrivate ? sealing.hmacSecret : undefined,
			connect: (bindings) => reachOf(env, bindings, sealing.seal),
			origin: new WorkerOrigin(config?.origin?.url, { headers, isPrivate }),
			clock: Date.now,
			isPrivate,
			send: (kind, to, body, signal) => send(env, kind, to, body, signal),
			onFault: console.error,
		});
		return new Gateway({ access, handler: new Handler(runtime, (request) => asset(request, env)) });
	} catch (error) {
		if (!(error instanceof ConfigError)) throw error;
		return new Gateway({ access, fault: error.message });
	}
}

/** Sends telemetry to a place. */
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

/** A file of the page. */
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
			isPlatforms: true,
		});
		const reply = await gateway.handle(plain);
		await plain.release();
		return responseOf(reply);
	},
};
