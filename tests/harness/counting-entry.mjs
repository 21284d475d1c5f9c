// A test's entry before the built Worker: counts what it asks of KV, and breaks KV on demand. The KV behind it is miniflare's real one.
//
//   GET    /__test/kv   the counts since the last reset
//   PUT    /__test/kv   the faults from now on, see `KvFaults` in worker.mjs
//   DELETE /__test/kv   counts back to zero, no faults

import worker from "./index.js";

const noCounts = () => ({ get: 0, bulkGet: 0, keysRead: 0, put: 0, delete: 0, list: 0, putKeys: [], readKeys: [] });

let counts = noCounts();
let faults = {};

async function suffer(operation) {
	const { delayMs = 0, error, hang = false } = faults[operation] ?? {};
	if (delayMs > 0) await scheduler.wait(delayMs);
	if (hang) await scheduler.wait(600_000);
	if (error !== undefined) throw new Error(error);
}

/** What a read returned, spoiled as the test asked for. */
function spoiled(value) {
	const { text } = faults.value ?? {};
	if (text === undefined || value === null) return value;
	if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, one === null ? null : text]));
	if (value instanceof ArrayBuffer) return new TextEncoder().encode(text).buffer;
	return text;
}

/** A KV namespace that counts, delays and fails; methods keep the signatures of the real one. */
function watched(kv) {
	const read =
		(method) =>
		async (keys, ...rest) => {
			const asked = Array.isArray(keys) ? keys : [keys];
			counts[Array.isArray(keys) ? "bulkGet" : "get"] += 1;
			counts.keysRead += asked.length;
			counts.readKeys.push(...asked);
			await suffer("get");
			return spoiled(await kv[method](keys, ...rest));
		};
	return {
		get: read("get"),
		getWithMetadata: read("getWithMetadata"),
		async put(key, ...rest) {
			counts.put += 1;
			counts.putKeys.push(key);
			await suffer("put");
			return kv.put(key, ...rest);
		},
		async delete(key) {
			counts.delete += 1;
			await suffer("delete");
			return kv.delete(key);
		},
		async list(...options) {
			counts.list += 1;
			await suffer("list");
			return kv.list(...options);
		},
	};
}

async function control(request) {
	if (request.method === "GET") return Response.json(counts);
	counts = request.method === "DELETE" ? noCounts() : counts;
	faults = request.method === "DELETE" ? {} : await request.json();
	return new Response(null, { status: 204 });
}

// One object for all requests, as the runtime's own is.
let watchedEnv;

export const direct = {
	fetch(request, env, ctx) {
		if (request.url.endsWith("/__test/kv")) return control(request);
		watchedEnv ??= { ...env, FEATURES: watched(env.FEATURES) };
		return worker.fetch(request, watchedEnv, ctx);
	},
};

export default direct;
