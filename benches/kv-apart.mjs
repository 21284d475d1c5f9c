// KV in a process of its own: what miniflare's double of it keeps, and how much it takes for that, is not the Worker's.

import { Miniflare } from "miniflare";
import { freePort } from "../tests/support/workerd.mjs";

const HOST = "127.0.0.1";

/** The Worker before that KV: `POST /` with keys gives their values, `PUT /KEY?ttl=SECONDS` writes one. */
const SERVER = `
	export default {
		async fetch(request, { FEATURES }) {
			if (request.method === "POST") {
				return Response.json(Object.fromEntries(await FEATURES.get(await request.json(), "text")));
			}
			const { pathname, searchParams } = new URL(request.url);
			const expirationTtl = Number(searchParams.get("ttl"));
			await FEATURES.put(decodeURIComponent(pathname.slice(1)), await request.text(), { expirationTtl });
			return new Response(null, { status: 204 });
		},
	};
`;

/** @returns {Promise<{ address: string, stop: () => Promise<void> }>} */
export async function serveKv() {
	const port = await freePort();
	const miniflare = new Miniflare({
		cf: false,
		host: HOST,
		name: "kv",
		modules: true,
		script: SERVER,
		compatibilityDate: "2026-04-01",
		kvNamespaces: ["FEATURES"],
		unsafeDirectSockets: [{ host: HOST, port }],
	});
	await miniflare.ready;
	return { address: `${HOST}:${port}`, stop: () => miniflare.dispose() };
}
