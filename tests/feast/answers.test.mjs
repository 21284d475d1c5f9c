// Whatever Feast answers, its clients get the same through Featheredge: cold and warm, whichever way Featheredge knows what keys a view.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { besides } from "../support/feast.mjs";
import { assertSameReply, readAnswer } from "./exact.mjs";
import { answered, malformed, refusedByFeast, refusedByFeatheredge } from "./requests.mjs";
import { edgeOnly, getOnlineFeatures, isFeastAlone, send, startWorld } from "./world.mjs";

const ONE = { features: ["driver_hourly_stats:conv_rate"], entities: { driver_id: [1001] } };

/** The ways in which Featheredge can know which columns key a view. */
const WAYS = {
	"with no join keys configured": () => ({}),
	"with join keys from the configuration": () => ({
		views: {
			driver_hourly_stats: { join_keys: ["driver_id"] },
			driver_customer_affinity: { join_keys: ["driver_id", "customer_id"] },
			customer_profile: { join_keys: ["customer_id"] },
			every_type: { join_keys: ["driver_id"] },
			versioned_stats: { join_keys: ["driver_id"] },
			transformed_conv_rate: { join_keys: ["driver_id", "val_to_add", "val_to_add_2"] },
			trip_fare: { join_keys: ["driver_id", "customer_id", "distance_km", "city"] },
		},
		feature_services: {
			trip_v1: { join_keys: ["driver_id", "customer_id"] },
			renamed_v1: { join_keys: ["first_driver_id", "second_driver_id"] },
		},
	}),
	"with join keys from Feast's registry": ({ registryUrl }) => ({ registry: { url: registryUrl, project: "demo" } }),
};

/** @type {import("./world.mjs").World} */
let world;
before(async () => {
	world = await startWorld({ registry: true });
});
after(() => world?.stop());

const direct = (body) => getOnlineFeatures(world.feast.url, body);

for (const [way, vars] of Object.entries(WAYS)) {
	describe(way, () => {
		let forth;
		let back;
		before(async () => {
			forth = await world.startEdge(vars(world.feast));
			back = await world.startEdge(vars(world.feast));
		});
		after(async () => {
			await forth?.stop();
			await back?.stop();
		});

		for (const { name, body, isPassedOn } of answered) {
			test(`${name}: cold and warm as Feast answers`, async () => {
				const expected = await direct(body);
				assert.equal(expected.status, 200, expected.body);
				assertSameReply(await getOnlineFeatures(forth.url, body), expected, "cold");
				const callsBefore = forth.originCalls.length;
				const warm = await getOnlineFeatures(forth.url, body);
				assertSameReply(warm, expected, "warm");
				if (isFeastAlone || isPassedOn) return;
				assert.deepEqual(forth.originCalls.slice(callsBefore), [], "a warm request does not reach Feast");
				assert.match(warm.headers["cache-status"], /featheredge-l1; *hit/);
			});
		}

		test("the same requests in reverse order, one after the other from caches that the others filled", async () => {
			for (const { name, body } of answered.toReversed()) {
				assertSameReply(await getOnlineFeatures(back.url, body), await direct(body), name);
			}
		});

		for (const { name, body } of refusedByFeast) {
			test(`${name}: refused each time in Feast's own words`, async () => {
				const expected = await direct(body);
				assert.ok(expected.status >= 400, expected.body);
				for (const time of ["first", "second"])
					assertSameReply(await getOnlineFeatures(forth.url, body), expected, `${time} time`);
			});
		}
	});
}

describe("malformed bodies", () => {
	let edge;
	before(async () => {
		edge = await world.startEdge();
	});
	after(() => edge?.stop());

	const stillServes = async () => assert.equal((await getOnlineFeatures(edge.url, ONE)).status, 200);

	for (const { name, body } of malformed) {
		test(`${name}: refused as Feast refuses it`, async () => {
			const expected = await direct(body);
			const actual = await getOnlineFeatures(edge.url, body);
			assert.deepEqual([actual.status, expected.status], [422, 422], actual.body);
			assert.match(actual.headers["content-type"], /^application\/json/);
			const [detail] = JSON.parse(actual.body).detail;
			const [theirs] = JSON.parse(expected.body).detail;
			assert.equal(typeof detail.msg, "string");
			// Where the body is no JSON, and in which words, depends on the parser.
			const place = ({ type, loc }) => [type, type === "json_invalid" ? loc.slice(0, 1) : loc];
			assert.deepEqual(place(detail), place(theirs));
			await stillServes();
		});
	}

	for (const { name, body } of refusedByFeatheredge) {
		test(`${name}: a client error that says what is wrong`, edgeOnly, async () => {
			const actual = await getOnlineFeatures(edge.url, body);
			assert.equal(actual.status, 422, actual.body);
			const [detail] = JSON.parse(actual.body).detail;
			assert.equal(detail.loc[0], "body");
			assert.notEqual(detail.msg, "");
			await stillServes();
		});
	}

	for (const type of [
		undefined,
		"text/plain",
		"application/x-www-form-urlencoded",
		"application/json; charset=utf-8",
	]) {
		test(`the content type ${type ?? "missing"}: answered, since the body is what counts`, edgeOnly, async () => {
			const headers = type === undefined ? {} : { "content-type": type };
			const actual = await send(edge.url, "/get-online-features", {
				method: "POST",
				headers,
				body: JSON.stringify(ONE),
			});
			assertSameReply(actual, await direct(ONE), "answer");
		});
	}
});

// The last group, since it changes what Feast stores.
describe("the recorded requests", () => {
	const folder = besides("fixtures");
	const recorded = readdirSync(folder)
		.sort()
		.map((file) => ({ file, ...JSON.parse(readFileSync(join(folder, file), "utf8")) }));
	const isWrite = ({ request }) => request.path !== "/get-online-features" && request.method === "POST";
	const firstWrite = recorded.findIndex(isWrite);
	/** What the writes stored; everything else in the project is random. */
	const STORED = { "16_after_push.json": [0], "18_after_write.json": [1] };
	let edge;

	const sendTo = (url, { request }) => send(url, request.path, request);
	/** The rows `rows` of an answer. */
	const pick = (text, rows) =>
		Object.entries(readAnswer(text).columns).map(([name, { values, statuses, event_timestamps: times }]) => [
			name,
			rows.map((row) => [values[row], statuses[row], times[row]]),
		]);

	before(async () => {
		edge = await world.startEdge();
	});
	after(() => edge?.stop());

	for (const [index, fixture] of recorded.entries()) {
		test(fixture.file, async (t) => {
			// A row that is cached stays for its time to live: what was written is read through empty caches.
			if (!isWrite(fixture) && index > firstWrite && isWrite(recorded[index - 1])) {
				await edge.stop();
				edge = await world.startEdge();
			}
			const expected = await sendTo(world.feast.url, fixture);
			assert.equal(expected.status, fixture.response.status, "Feast answers as it did when this was recorded");
			const cold = await sendTo(edge.url, fixture);
			if (fixture.response.status === 422 && fixture.request.path === "/get-online-features") {
				assert.equal(cold.status, 422);
				const summary = ({ body }) => JSON.parse(body).detail.map(({ type, loc }) => [type, loc]);
				assert.deepEqual(summary(cold), summary(fixture.response));
				return;
			}
			if (fixture.file.startsWith("13_") && !isFeastAlone) {
				t.diagnostic("Featheredge says 422 where Feast says 500: trying again will not help");
				assert.equal(cold.status, 422);
				return;
			}
			assertSameReply(cold, expected, "cold");
			if (isWrite(fixture)) return;
			assertSameReply(await sendTo(edge.url, fixture), expected, "warm");
			if (fixture.response.status !== 200) assert.equal(cold.body, fixture.response.body, "as recorded");
			else if (fixture.response.body !== "") {
				const now = readAnswer(cold.body);
				const then = readAnswer(fixture.response.body);
				assert.deepEqual(now.joinKeys, then.joinKeys);
				assert.deepEqual(Object.keys(now.columns).sort(), Object.keys(then.columns).sort());
				for (const [name, { statuses }] of Object.entries(then.columns))
					assert.deepEqual(now.columns[name].statuses, statuses, name);
				const rows = STORED[fixture.file];
				if (rows)
					assert.deepEqual(
						Object.fromEntries(pick(cold.body, rows)),
						Object.fromEntries(pick(fixture.response.body, rows)),
					);
			}
		});
	}
});
