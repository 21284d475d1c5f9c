// What an origin may do to those who read features: answer oddly, be ill, close connections. The same for every host with a gateway.

import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { answerFeatures, ask, column, FEAST, range, statuses, valueFor } from "../support/features.mjs";
import { startRawOrigin } from "../support/raw.mjs";
import { VIEWS } from "./callers.mjs";

const NATIVE = "/v1/features";

/** An answer as bytes; `close` is what its server does to the connection behind it without saying so. */
const answer = (status, body, headers = ["content-type: application/json"]) =>
	[`HTTP/1.1 ${status} Whatever`, ...headers, `content-length: ${Buffer.byteLength(body)}`, "", body].join("\r\n");

/** JSON in ASCII alone: what goes out by bytes has a length that is counted in letters. */
const ascii = (value) =>
	JSON.stringify(value).replaceAll(
		/[^\x20-\x7e]/g,
		(letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
	);

const features = (request) => answer(200, ascii(answerFeatures({ json: JSON.parse(request.body) }).json));

/** @param {import("./callers.mjs").Hosts} hosts */
export async function testNeighbour({ start }) {
	let answering = features;
	const origin = await startRawOrigin((request, socket) =>
		request.start.startsWith("GET /health") ? answer(200, "") : answering(request, socket),
	);
	const host = await start({
		origin,
		vars: { views: VIEWS, auth: { anonymous_scopes: ["read", "write"] }, breaker: { enabled: false } },
	});
	const other = await start({ origin, vars: { views: VIEWS, breaker: { window_operations: 10, open_ms: 60_000 } } });
	beforeEach(() => {
		answering = features;
		origin.requests.length = 0;
	});
	after(async () => {
		await host.stop();
		await other.stop();
		await origin.stop();
	});

	// No other file's: hosts of one store find each other's rows.
	let last = 10_000;
	/** A driver that nobody has asked for. */
	const fresh = () => {
		last += 1;
		return last;
	};
	const read = (driver, headers = {}, at = host) => at.post(FEAST, ask(["a"], [driver]), headers);
	const readNative = (driver) =>
		host.post(NATIVE, { entities: { driver_id: [driver] }, feature_names: ["stats:a"], include: ["status", "age"] });

	describe("an answer to a read of features", () => {
		for (const status of [201, 202, 203, 204, 205, 206, 301, 302, 303, 304, 307, 308, 599, 600, 700, 999]) {
			test(`of status ${status} is no success`, async () => {
				const isBare = status === 204 || status === 304;
				answering = (request) =>
					isBare ? `HTTP/1.1 ${status} Whatever\r\n\r\n` : features(request).replace(" 200 ", ` ${status} `);
				for (const reply of [await read(fresh()), await readNative(fresh())]) {
					assert.ok([502, status === 599 ? 599 : 502].includes(reply.status), String(reply.status));
					assert.match(reply.headers.get("content-type"), /json/);
					JSON.parse(await reply.text());
				}
			});
		}

		for (const [name, body] of [
			["nothing", ""],
			["a list", "[]"],
			["null", "null"],
			["an object of something else", '{"ok":true}'],
			["no JSON", "<html></html>"],
			["half of one", '{"metadata":{"feature_names":["driver_id"'],
		]) {
			test(`with ${name} in it is no success`, async () => {
				answering = () => answer(200, body);
				assert.equal((await readNative(fresh())).status, 502);
				assert.equal((await read(fresh())).status, 502);
			});
		}

		test("costs a row that cannot be understood that row alone", async () => {
			answering = (request) => {
				const { json } = answerFeatures({ json: JSON.parse(request.body) });
				json.results[1].statuses[1] = "NO_SUCH_STATUS";
				json.results[1].event_timestamps[0] = "the day before";
				return answer(200, ascii(json));
			};
			const rows = range(3).map(fresh);
			const reply = await host.post(FEAST, ask(["a"], rows));
			assert.equal(reply.status, 200);
			const found = await reply.json();
			assert.deepEqual(statuses(found, "a"), ["PRESENT", "INVALID", "PRESENT"]);
			assert.deepEqual(column(found, "a"), [valueFor("a", rows[0]), null, valueFor("a", rows[2])]);
			assert.equal(found.results[1].event_timestamps[0], "1970-01-01T00:00:00Z", "its time is not known");
		});

		test("without statuses has none invented: a null is present, as any value", async () => {
			answering = (request) => {
				const { json } = answerFeatures({ json: JSON.parse(request.body) });
				json.results[1].values[0] = null;
				for (const result of json.results) delete result.statuses;
				return answer(200, ascii(json));
			};
			const found = await (await read(fresh())).json();
			assert.deepEqual([column(found, "a"), statuses(found, "a")], [[null], ["PRESENT"]]);
		});

		test("is taken by position where the origin converts keys, and is another's where no conversion gives its key", async () => {
			const answeredAs = (key) => {
				answering = (request) => {
					const { json } = answerFeatures({ json: JSON.parse(request.body) });
					json.results[0].values = [key];
					return answer(200, ascii(json));
				};
			};
			for (const [asked, key] of [
				[1_000_001.7, 1_000_001],
				["１００００２", 100_002],
				[" 1000003 ", 1_000_003],
				[true, 1],
			]) {
				answeredAs(key);
				assert.equal((await read(asked)).status, 200, String(asked));
			}
			answeredAs(5_000_000);
			assert.equal((await read(4_000_000)).status, 502);
		});
	});

	describe("a trace", () => {
		test("goes on with the call that a read makes", async () => {
			const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
			await read(fresh(), { traceparent, tracestate: "vendor=1", baggage: "user=2" });
			const [{ headers }] = origin.requests;
			assert.match(headers.traceparent, /^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/);
			assert.notEqual(headers.traceparent, traceparent, "it names the call itself");
			assert.deepEqual([headers.tracestate, headers.baggage], ["vendor=1", "user=2"]);
		});
	});

	describe("a connection that the origin closes behind an error, without saying so", () => {
		/** Answers whatever names a bad driver with 500, and closes the connection a moment later, as uvicorn does. */
		const closing = (request, socket) => {
			if (!request.body.includes("-1"))
				return request.start.startsWith("POST /get") ? features(request) : answer(200, "{}");
			setTimeout(() => socket.destroy(), 2);
			return answer(500, '"no such driver"');
		};

		test("costs nobody who reads an answer, nor who reads by a path that is passed on", async () => {
			answering = closing;
			for (const _ of range(25)) {
				const [bad, good, passed] = await Promise.all([read(-1), read(fresh()), fetch(`${host.url}/registry`)]);
				assert.deepEqual([bad.status, good.status, passed.status], [500, 200, 200]);
				const [again, passedAgain] = await Promise.all([read(fresh()), fetch(`${host.url}/registry`)]);
				assert.deepEqual([again.status, passedAgain.status], [200, 200]);
			}
		});
	});

	describe("the origin's illness", () => {
		test("is none where one caller's requests alone get 500, 429, a redirect, or what cannot be read", async () => {
			const odd = [
				() => answer(500, '"mistake"'),
				() => answer(429, "{}"),
				() => answer(307, "", ["location: /elsewhere"]),
				() => answer(200, "no JSON"),
			];
			answering = (request) =>
				request.body.includes("-1") ? odd[origin.requests.length % odd.length]() : features(request);
			for (const _ of range(60)) await (await read(-1, {}, other)).arrayBuffer();
			for (const _ of range(10)) assert.equal((await read(fresh(), {}, other)).status, 200);
		});

		test("gets an error that names neither the origin's address nor an exception", async () => {
			answering = (_, socket) => {
				socket.destroy();
				return "";
			};
			for (const reply of [await read(fresh()), await readNative(fresh()), await fetch(`${host.url}/registry`)]) {
				const text = await reply.text();
				assert.equal(reply.status, 502);
				assert.doesNotMatch(text, /127\.0\.0\.1|ECONN|socket|fetch|Error:|\.js|at /i);
			}
		});

		test("opens the circuit of the origin, and says when to retry", async () => {
			answering = () => answer(503, "{}");
			const seen = [];
			for (const _ of range(30)) seen.push((await read(fresh(), {}, other)).status);
			assert.equal(seen.at(-1), 503);
			const calls = origin.requests.length;
			const reply = await read(fresh(), {}, other);
			assert.equal(origin.requests.length, calls, "nobody asks it");
			assert.ok(Number(reply.headers.get("retry-after")) > 0);
		});
	});
}
