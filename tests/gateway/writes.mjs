// What a write makes of what is cached: as soon as it is acknowledged, nothing older is served. The same for every host with a gateway.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, beforeEach, describe, test } from "node:test";
import { answerFeatures, ask, column } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { openRaw } from "../support/raw.mjs";
import { bearer, FEAST, OPERATOR, VIEWS } from "./callers.mjs";

/** @param {import("./callers.mjs").Hosts} hosts */
export async function testWrites({ start }) {
	let version = 0;
	/** Features whose values tell how often something was written. */
	const answer = (request) => {
		if (request.method !== "POST" || request.path !== FEAST) {
			version += 1;
			return { status: 200, body: "null", headers: { "x-own": "yes" } };
		}
		const reply = answerFeatures(request);
		for (const result of reply.json.results.slice(1)) result.values = result.values.map(() => version);
		return reply;
	};
	const origin = await startOrigin(answer);
	const vars = { views: VIEWS, auth: { anonymous_scopes: ["read", "write"] } };
	const host = await start({ origin, operatorToken: OPERATOR, vars });
	beforeEach(() => {
		origin.reset();
		origin.answer(answer);
	});
	after(async () => {
		await host.stop();
		await origin.stop();
	});
	const read = async (driver) => column(await (await host.post(FEAST, ask(["a"], [driver]))).json(), "a")[0];
	const write = (driver) =>
		host.post("/write-to-online-store", { feature_view_name: "stats", df: { driver_id: [driver], a: [1] } });

	describe("a write", () => {
		test("that is acknowledged is what is read from then on; other rows stay", async () => {
			const before = [await read(1), await read(2)];
			const reply = await write("1");
			assert.deepEqual([reply.status, await reply.text(), reply.headers.get("x-own")], [200, "null", "yes"]);
			origin.reset();
			assert.notEqual(await read(1), before[0]);
			assert.equal(await read(2), before[1]);
			assert.equal(origin.requests.length, 1);
		});

		test("is a materialization, of the views that it names, or of all", async () => {
			for (const path of ["/materialize", "/materialize-incremental"]) {
				for (const [named, isOfStats] of [
					[{ feature_views: ["stats"] }, true],
					[{ feature_views: ["another"] }, false],
					[{}, true],
				]) {
					const before = await read(1);
					assert.equal((await host.post(path, { end_ts: "2026-11-30T00:00:00", ...named })).status, 200);
					assert.equal((await read(1)) !== before, isOfStats, `${path} ${JSON.stringify(named)}`);
				}
			}
		});

		test("is whatever is posted to a path that nobody knows; a search is none", async () => {
			const before = await read(1);
			for (const path of ["/search", "/retrieve-online-documents", "/v1/vector_stores/documents/search"]) {
				assert.equal((await host.post(path, {})).status, 200, path);
			}
			assert.equal(await read(1), before);
			for (const [method, path] of [
				["POST", "/of-a-plug-in"],
				["DELETE", "/registry/x"],
				["PUT", FEAST],
			]) {
				const before = await read(1);
				const reply = await fetch(`${host.url}${path}`, { method, body: "{}", headers: bearer(OPERATOR) });
				assert.equal(reply.status, 200);
				assert.notEqual(await read(1), before, `${method} ${path}`);
			}
		});

		test("counts as of the origin's answer, though the writer has hung up before", async () => {
			let end;
			let reach;
			const ended = new Promise((resolve) => {
				end = resolve;
			});
			const reached = new Promise((resolve) => {
				reach = resolve;
			});
			origin.answer(async (request) => {
				if (request.path === FEAST) return answer(request);
				reach();
				await ended;
				return answer(request);
			});
			const before = await read(3);
			const body = JSON.stringify({ feature_view_name: "stats", df: { driver_id: [3] } });
			const raw = await openRaw(host.port);
			raw.send(["POST /write-to-online-store HTTP/1.1", "host: x", `content-length: ${body.length}`], body);
			await reached;
			raw.close();
			await once(raw.socket, "close");
			assert.equal(await read(3), before, "what is read meanwhile is kept");
			end();
			while ((await read(3)) === before);
		});

		test("that fails, or cannot be sent, may have written", async () => {
			for (const script of [{ status: 500, body: "null" }, { drop: true }]) {
				await read(4);
				origin.answer(script);
				assert.ok((await write(4)).status >= 500);
				origin.reset();
				origin.answer(answer);
				await read(4);
				assert.equal(origin.requests.length, 1);
			}
		});
	});
}
