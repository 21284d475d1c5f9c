// What the page loads: little when it is opened, and the engine with the first measurement.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { measureFirst } from "../support/measurement.mjs";
import { pagesOfWorker, skip } from "./pages.mjs";

/** Brotli of the highest quality: of the opened page, and of that with the first measurement. */
const OPENED_LIMIT = 32 * 1024;
const MEASURED_LIMIT = 440 * 1024;

/** Compresses each file once: it takes seconds. */
const memoized = (compress) => {
	const lengths = new Map();
	return (bytes) => {
		if (!lengths.has(bytes)) lengths.set(bytes, compress(bytes).length);
		return lengths.get(bytes);
	};
};
const brotli = memoized((bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
const gzip = memoized((bytes) => gzipSync(bytes, { level: 9 }));

describe("what the page loads", { skip, timeout: 300_000 }, () => {
	const world = pagesOfWorker();

	/** Passes requests on to the Worker, and keeps what it answers: a Web Worker's requests, too. */
	async function recorder(t) {
		/** @type {Map<string, Buffer>} */
		const loaded = new Map();
		const server = createServer(async ({ url }, outgoing) => {
			const answer = await fetch(`${world.worker.url}${url}`);
			const bytes = Buffer.from(await answer.arrayBuffer());
			loaded.set(url, bytes);
			const {
				"content-encoding": _,
				"content-length": __,
				"transfer-encoding": ___,
				...headers
			} = Object.fromEntries(answer.headers);
			outgoing.writeHead(answer.status, headers).end(bytes);
		});
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		t.after(() => {
			server.closeAllConnections();
			server.close();
		});
		return { url: `http://127.0.0.1:${server.address().port}`, loaded };
	}

	test("the opened page is small, and has neither the engine nor the charts", async (t) => {
		const { url, loaded } = await recorder(t);
		const page = await world.open({}, "", { url });
		await page.locator("#readiness[data-state=ready]").waitFor();
		await page.waitForLoadState("networkidle");
		const size = (compress) => [...loaded.values()].reduce((sum, bytes) => sum + compress(bytes), 0);
		const say = (what) =>
			t.diagnostic(
				`${what}: ${(size(brotli) / 1024).toFixed(1)} KB with brotli 11, ${(size(gzip) / 1024).toFixed(1)} KB with gzip 9`,
			);
		say("opened");
		const names = [...loaded.keys()].join(" ");
		assert.doesNotMatch(names, /\.wasm|worker|charts|setup|live|try|results-/);
		assert.ok(size(brotli) <= OPENED_LIMIT, names);

		await measureFirst(page);
		say("with the first measurement");
		assert.match([...loaded.keys()].join(" "), /featheredge-[\w-]+\.wasm/);
		assert.doesNotMatch([...loaded.keys()].join(" "), /charts|setup/);
		assert.ok(size(brotli) <= MEASURED_LIMIT);
	});
});
