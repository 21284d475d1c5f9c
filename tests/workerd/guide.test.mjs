// The first requests of README.md and docs/guide/start.md, sent as they stand, find what the documents say.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "smol-toml";
import { fromRoot } from "../support/root.mjs";
import { mustRun } from "../support/run.mjs";
import { startWorker } from "../support/worker.mjs";

/** The blocks of a document in a language, also those that stand in a list. */
function blocks(document, language) {
	const text = readFileSync(fromRoot(document), "utf8").replaceAll(/^ {3}/gm, "");
	return [...text.matchAll(/^```(\w+)\n([\s\S]*?)\n```$/gm)]
		.filter(([, name]) => name === language)
		.map(([, , code]) => code);
}

const requests = (document) => blocks(document, "sh").filter((command) => command.startsWith("curl "));

/** Sends a request of a document twice to a new Worker; gives both replies, heads included. */
async function twice(command, vars) {
	const worker = await startWorker({ vars });
	const here = command.replace("http://127.0.0.1:8787", worker.url).replace("curl ", "curl -s ");
	try {
		const send = () => mustRun("sh", ["-c", here], { capture: true });
		return [await send(), await send()];
	} finally {
		await worker.stop();
	}
}

const cacheStatus = (text) => /^cache-status: (.+?)\r?$/im.exec(text)[1];

test("the first request of the guide comes from the origin, and from memory the second time, as it says", async () => {
	const [request] = requests("docs/guide/start.md");
	const [ready, fromOrigin, fromMemory] = blocks("docs/guide/start.md", "text");
	// What tests/workerd/start.test.mjs waits for.
	assert.equal(ready, "ready on http://127.0.0.1:8787");
	const [first, second] = await twice(request, {});
	assert.deepEqual([first, second].map(cacheStatus), [fromOrigin, fromMemory].map(cacheStatus));
	assert.match(first, /"tier":"l4_compute"/);
	assert.match(second, /"tier":"l1_memory"/);
});

test("the README's requests come from memory the second time, Feast's with the README's configuration", async () => {
	const [native, feast, ...others] = requests("README.md");
	assert.deepEqual(others, []);
	const [configuration] = blocks("README.md", "toml");
	for (const [request, vars] of [
		[native, {}],
		[feast, parse(configuration)],
	]) {
		const [, second] = await twice(request, vars);
		assert.match(second, /^HTTP\/1\.1 200/);
		assert.equal(cacheStatus(second), "featheredge-l1; hit");
	}
});
