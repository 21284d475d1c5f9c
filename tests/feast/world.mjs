// The world of these tests: the real Feast, a relay that counts what Feast is asked, and the Worker in front.
//
// With FEATHEREDGE_URL=feast in the environment there is no Worker and Feast stands in its place: that shows which of Feast's own answers the
// tests accept, and tests of what only Featheredge does are skipped.

import { createServer, request as httpRequest } from "node:http";
import { startFeast } from "../support/feast.mjs";

export const isFeastAlone = process.env.FEATHEREDGE_URL === "feast";
/** An option of a test that Feast alone cannot pass. */
export const edgeOnly = isFeastAlone ? { skip: "only Featheredge does this" } : {};

const TIMEOUT_MS = 20_000;
const JSON_TYPE = { "content-type": "application/json" };

/**
 * @typedef {object} Reply
 * @property {number} status
 * @property {import("node:http").IncomingHttpHeaders} headers
 * @property {string} body
 */

/**
 * Sends one request on a connection of its own, with no header that was not asked for.
 *
 * @param {string} url
 * @param {string} path
 * @param {{ method?: string, headers?: Record<string, string>, body?: string | Uint8Array }} [options]
 * @returns {Promise<Reply>}
 */
export function send(url, path, { method = "GET", headers = {}, body = "" } = {}) {
	return new Promise((resolve, reject) => {
		const length = body.length > 0 ? { "content-length": String(Buffer.byteLength(body)) } : {};
		const outgoing = httpRequest(`${url}${path}`, { method, agent: false, headers: { ...length, ...headers } });
		outgoing.setTimeout(TIMEOUT_MS, () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)));
		outgoing.on("error", reject);
		outgoing.on("response", async (incoming) => {
			try {
				const chunks = [];
				for await (const chunk of incoming) chunks.push(chunk);
				resolve({ status: incoming.statusCode, headers: incoming.headers, body: Buffer.concat(chunks).toString() });
			} catch (error) {
				reject(error);
			}
		});
		outgoing.end(body);
	});
}

/** Posts JSON; text and bytes as they are. */
export const post = (url, path, body) =>
	send(url, path, {
		method: "POST",
		headers: JSON_TYPE,
		body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
	});

export const getOnlineFeatures = (url, body) => post(url, "/get-online-features", body);

/** Passes everything on to `target`, and keeps the bodies of the calls for features. */
async function startRelay(target) {
	const calls = [];
	const server = createServer(async (incoming, outgoing) => {
		const chunks = [];
		for await (const chunk of incoming) chunks.push(chunk);
		const body = Buffer.concat(chunks);
		if (incoming.method === "POST" && incoming.url === "/get-online-features") calls.push(body.toString());
		const { connection, host, ...headers } = incoming.headers;
		const onward = httpRequest(`${target}${incoming.url}`, { method: incoming.method, headers, agent: false });
		onward.on("error", () => outgoing.destroy());
		onward.on("response", (answer) => {
			outgoing.writeHead(answer.statusCode, answer.headers);
			answer.pipe(outgoing);
		});
		onward.end(body);
	});
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		url: `http://127.0.0.1:${server.address().port}`,
		calls,
		stop: () =>
			new Promise((resolve) => {
				server.close(resolve);
				server.closeAllConnections();
			}),
	};
}

/**
 * @typedef {object} Edge
 * @property {string} url
 * @property {string[]} originCalls the bodies that Feast was asked for features with, in order
 * @property {() => Promise<void>} stop
 *
 * @typedef {object} World
 * @property {import("../support/feast.mjs").Feast} feast
 * @property {(vars?: object) => Promise<Edge>} startEdge a Worker with empty caches, and `vars` laid over its configuration
 * @property {() => Promise<void>} stop
 */

/**
 * @param {{ registry?: boolean }} [options]
 * @returns {Promise<World>}
 */
export async function startWorld(options) {
	const feast = await startFeast(options);
	/** @type {Set<Edge>} */
	const edges = new Set();

	const startEdge = async (vars = {}) => {
		const relay = await startRelay(feast.url);
		const startWorker = isFeastAlone
			? async () => ({ url: relay.url, stop: async () => {} })
			: (await import("../support/worker.mjs")).startWorker;
		// Whoever may call Feast may do everything, and these tests compare the two.
		const auth = { anonymous_scopes: ["read", "write", "admin"] };
		const worker = await startWorker({ vars: { auth, ...vars }, origin: relay.url });
		const edge = {
			url: worker.url,
			originCalls: relay.calls,
			async stop() {
				if (!edges.delete(edge)) return;
				await worker.stop();
				await relay.stop();
			},
		};
		edges.add(edge);
		return edge;
	};
	return {
		feast,
		startEdge,
		async stop() {
			for (const edge of [...edges]) await edge.stop();
			await feast.stop();
		},
	};
}
