// A large answer of the origin: in memory once while it is read, and bounded with all others together.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { feastOrigin } from "../../build/package/dist/node.js";
import { answerFeatures } from "../support/features.mjs";
import { engineFor } from "./harness.mjs";

const MIB = 1_048_576;
/** What else is in memory while an answer is read, and holes between what comes and goes. */
const SLACK = 4 * MIB;

const fixture = fileURLToPath(new URL("fixtures/large-answer.mjs", import.meta.url));

/** What memory an answer of so many megabytes took, in a process of its own. */
const measured = (...args) =>
	JSON.parse(execFileSync(process.execPath, ["--expose-gc", fixture, ...args.map(String)]).toString());

test("an answer of 40 MB whose length is known is in memory once while it is read", (t) => {
	const found = measured(40, "known");
	t.diagnostic(JSON.stringify(found));
	assert.ok(found.answer >= 40 * MIB && found.reply >= 40 * MIB);
	assert.ok(found.module_while_read <= found.answer + SLACK, "in the module");
	assert.ok(found.buffers_while_read <= SLACK, "and nowhere else");
	// The rows, and then the reply, which doubles as it grows.
	assert.ok(found.module_in_all <= 3.5 * found.answer + SLACK);
});

test("one of unknown length is there in pieces, and then in one", (t) => {
	const found = measured(40);
	t.diagnostic(JSON.stringify(found));
	assert.ok(found.module_while_read <= found.answer + SLACK, "in the module");
	assert.ok(found.buffers_while_read <= SLACK, "and nowhere else");
	assert.ok(found.module_in_all <= 4 * found.answer + SLACK);
});

test("answers that are read at one time share what may wait: one for which there is no room is shed, and the others are read", async (t) => {
	const pad = "x".repeat(6 * MIB);
	let release;
	const released = new Promise((resolve) => {
		release = resolve;
	});
	let isReading;
	const reading = new Promise((resolve) => {
		isReading = resolve;
	});
	const bodyOf = (json) => new TextEncoder().encode(JSON.stringify({ ...answerFeatures({ json }).json, pad }));
	// The first one is read but for its last byte while the second one comes.
	const fetch = async (_, { body }) => {
		const bytes = bodyOf(JSON.parse(new TextDecoder().decode(body)));
		const isFirst = isReading !== undefined;
		const began = isReading;
		isReading = undefined;
		const stream = new ReadableStream({
			async pull(controller) {
				if (!isFirst) {
					controller.enqueue(bytes);
					return controller.close();
				}
				controller.enqueue(bytes.subarray(0, -1));
				began();
				await released;
				controller.enqueue(bytes.subarray(-1));
				controller.close();
			},
		});
		return new Response(stream, { headers: { "content-length": String(bytes.length) } });
	};
	const config = { memory: { pending_bytes: 10 * MIB }, singleflight: { enabled: false } };
	const engine = await engineFor(t, { origin: feastOrigin("http://origin.example", { fetch }), config });
	const serve = (ids) => engine.serve({ entity_ids: ids, feature_names: ["score"] });
	const first = serve(["a"]);
	await reading;
	await assert.rejects(serve(["b"]), { code: "overloaded", status: 503 });
	release();
	assert.equal((await first).features.a.score, "score of a");
	assert.equal((await serve(["b"])).features.b.score, "score of b");
	const { memory } = await engine.stats();
	assert.ok(memory.pending.bytes < MIB, "all is given back");
});
