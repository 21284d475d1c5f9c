// An entry before the built Worker that tells how much memory its wasm instances have (`GET /__load/memory`), and gives it a KV that is in
// another process (kv-apart.mjs) where it is bound to one.

const memories = new Set();

const { Instance } = WebAssembly;
WebAssembly.Instance = function CountedInstance(...args) {
	const instance = new Instance(...args);
	if (instance.exports.memory !== undefined) memories.add(instance.exports.memory);
	return instance;
};

const { default: worker, InvalidationLog, MergedWindows, StorageShard } = await import("./index.js");

export { InvalidationLog, MergedWindows, StorageShard };

/** What the Worker calls of a namespace, each one call over HTTP as the runtime's own is. */
const namespaceAt = (service) => ({
	async get(keys) {
		const response = await service.fetch("http://kv/", { method: "POST", body: JSON.stringify(keys) });
		return new Map(Object.entries(await response.json()));
	},
	async put(key, value, { expirationTtl }) {
		const url = `http://kv/${encodeURIComponent(key)}?ttl=${expirationTtl}`;
		const response = await service.fetch(url, { method: "PUT", body: value });
		await response.arrayBuffer();
		if (!response.ok) throw new Error(`KV answered ${response.status}`);
	},
});

// One object for all requests, as the runtime's own is.
let withKv;

export const direct = {
	async fetch(request, env, ctx) {
		withKv ??= env.KV_APART === undefined ? env : { ...env, FEATURES: namespaceAt(env.KV_APART) };
		if (!request.url.endsWith("/__load/memory")) return worker.fetch(request, withKv, ctx);
		return Response.json([...memories].reduce((sum, { buffer }) => sum + buffer.byteLength, 0));
	},
};

export default direct;
