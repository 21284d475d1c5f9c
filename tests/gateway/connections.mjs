// Connections that the origin closes just as they are used again cost nobody an answer. The same for every host with a gateway.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { answerFeatures, ask, column, FEAST, range, valueFor } from "../support/features.mjs";
import { startMortalOrigin } from "../support/mortal-origin.mjs";
import { startRawOrigin } from "../support/raw.mjs";

const VARS = {
	auth: { anonymous_scopes: ["read", "write"] },
	views: { stats: { join_keys: ["driver_id"], sources: [] } },
	breaker: { enabled: false },
	l2: { enabled: false },
};
/** Behind an error, unless it is used before: less than the Worker counts with. */
const CLOSES_MS = 60;
const push = (source) => ({ push_source_name: source, df: { driver_id: [1], a: [1] } });

/** @param {{ start: (options: import("../support/worker.mjs").WorkerOptions) => Promise<import("../support/worker.mjs").Host> }} hosts */
export function testConnections({ start }) {
	describe("an origin that closes a connection behind an error", () => {
		const answer = ({ start, body }) => {
			const json = body === "" ? {} : JSON.parse(body);
			const isGood = start.startsWith("POST /get")
				? !json.features.includes("stats:nope")
				: json.push_source_name === "good";
			const text = isGood ? JSON.stringify(json.features ? answerFeatures({ json }).json : null) : '"a mistake"';
			const head = `HTTP/1.1 ${isGood ? 200 : 500} Whatever\r\ncontent-type: application/json`;
			return `${head}\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
		};
		let origin;
		let host;
		before(async () => {
			origin = await startRawOrigin(answer, { closesBehindErrorsMs: CLOSES_MS });
			host = await start({ origin, vars: VARS });
		});
		afterEach(() => {
			origin.requests.length = 0;
		});
		after(async () => {
			await host?.stop();
			await origin?.stop();
		});
		const mistake = async (path, body) => {
			const reply = await host.post(path, body);
			assert.deepEqual([reply.status, await reply.text()], [500, '"a mistake"']);
		};
		const MISTAKES = [
			[FEAST, ask(["nope"], [1])],
			["/push", push("nobodys")],
			["/search", {}],
		];

		test("a write behind it is done, and once", async () => {
			for (const [path, body] of MISTAKES) {
				for (const _ of range(3)) {
					await mistake(path, body);
					const reply = await host.post("/push", push("good"));
					assert.deepEqual([reply.status, await reply.text()], [200, "null"], path);
				}
			}
			assert.equal(origin.requests.filter(({ body }) => body.includes('"good"')).length, 9);
		});

		test("so is a read, and one that is passed on", async () => {
			for (const [path, body] of MISTAKES) {
				for (const driver of range(3, 3 * MISTAKES.findIndex(([known]) => known === path))) {
					for (const more of [{}, { foreign: 1 }]) {
						await mistake(path, body);
						const reply = await host.post(FEAST, { ...ask(["a"], [driver]), ...more });
						assert.equal(reply.status, 200, path);
						assert.deepEqual(column(await reply.json(), "a"), [valueFor("a", driver)]);
					}
				}
			}
		});
	});

	describe("an origin whose connections die", () => {
		/** @type {import("../support/mortal-origin.mjs").MortalOrigin} */
		let origin;
		let host;
		before(async () => {
			origin = await startMortalOrigin();
			host = await start({ origin, vars: VARS });
		});
		after(async () => {
			await host?.stop();
			origin?.stop();
		});

		test("each read is answered though every connection closes at its second request", async () => {
			for (const driver of range(10)) {
				for (const more of [{}, { foreign: 1 }]) {
					const reply = await host.post(FEAST, { ...ask(["a"], [driver]), ...more });
					assert.equal(reply.status, 200);
					assert.deepEqual(column(await reply.json(), "a"), [valueFor("a", driver)]);
				}
			}
			assert.ok(origin.calls > 20, "connections were used again, and failed");
		});

		test("one that only hangs up is asked three times, and no more; for a write, once", async () => {
			for (const [path, body, calls] of [
				[FEAST, ask(["a"], [1_000]), 3],
				[FEAST, { ...ask(["a"], [1_000]), foreign: 1 }, 3],
				["/push", push("good"), 1],
			]) {
				Object.assign(origin, { patience: 0, calls: 0 });
				const reply = await host.post(path, body);
				assert.equal(reply.status, 502);
				await reply.arrayBuffer();
				assert.equal(origin.calls, calls, JSON.stringify(body));
			}
		});
	});
}
