// Fetching ahead in one process: what sessions teach, what is fetched in the background, and what of it outlives the process.

import assert from "node:assert/strict";
import { test } from "node:test";
import { range } from "../support/features.mjs";
import { until } from "../support/wait.mjs";
import { bytes, engineFor, namingOrigin, TestStore, text } from "./harness.mjs";

const ALL = { prefetch: { holdout_percent: 0 } };

const request = (feature, entity, session_id) => ({
	entity_ids: [entity],
	feature_names: [feature],
	...(session_id !== undefined && { session_id }),
});

/** How often an origin was asked for a feature. */
const callsFor = ({ calls }, feature) => calls.filter(({ features }) => features.includes(feature)).length;

/** Sessions that ask for an entity's profile, and then for its history. */
async function teach(engine, sessions, first = 0) {
	for (const session of range(sessions, first)) {
		await engine.serve(request("profile", session, `s${session}`));
		await engine.serve(request("history", session, `s${session}`));
	}
}

const prefetched = async (engine) => (await engine.stats()).prefetch;

test("the next request of a session is prefetched after the response, served from memory, and counted", async (t) => {
	const origin = namingOrigin();
	const engine = await engineFor(t, { origin, config: ALL });
	await teach(engine, 8);
	const before = callsFor(origin, "history");
	const told = await engine.predictions(request("profile", 1_000));
	assert.deepEqual(
		told.predictions.map(({ features, entities, source, decision }) => ({ features, entities, source, decision })),
		[
			{
				features: ["features:history"],
				entities: { entity_id: [1_000] },
				source: "same_entity",
				decision: "prefetch",
			},
		],
	);
	assert.equal(callsFor(origin, "history"), before, "to ask what would be done does nothing");
	await engine.serve(request("profile", 1_000, "new"));
	await until(() => callsFor(origin, "history") === before + 1);
	await until(
		async () => (await engine.predictions(request("profile", 1_000))).predictions[0].decision === "in_memory",
	);
	const answer = await engine.serve(request("history", 1_000, "new"));
	assert.equal(answer.cache_stats.l1_hits, 1);
	assert.equal(answer.features[1_000].history, "history of 1000");
	assert.equal(callsFor(origin, "history"), before + 1, "it is asked for once");
	const { issued, used, origin_rows } = await prefetched(engine);
	assert.ok(issued >= 1 && used >= 1 && origin_rows >= 1, JSON.stringify({ issued, used, origin_rows }));
});

test("bytes of Feast's form say their session beside them, and what memory holds is still answered at once", async (t) => {
	const origin = namingOrigin();
	const engine = await engineFor(t, { origin, config: ALL });
	const ask = (feature, id, session) =>
		engine.serveBytes(bytes({ features: [`v:${feature}`], entities: { id: [id] } }), { protocol: "feast", session });
	for (const session of range(8)) {
		await ask("profile", session, `s${session}`);
		await ask("history", session, `s${session}`);
	}
	const before = callsFor(origin, "v:history");
	await ask("profile", 1_000, "new");
	await until(() => callsFor(origin, "v:history") === before + 1);
	const known = ask("profile", 1_000, "new");
	assert.ok(known instanceof Uint8Array, "though something is done behind it");
	assert.match(text(known), /profile of 1000/);
});

test("requests without a session neither train prefetch nor cause any", async (t) => {
	const origin = namingOrigin();
	const engine = await engineFor(t, { origin, config: ALL });
	for (const entity of range(20)) {
		await engine.serve(request("profile", entity));
		await engine.serve(request("history", entity));
	}
	const before = callsFor(origin, "history");
	await engine.serve(request("profile", 1_000));
	assert.equal((await prefetched(engine)).issued, 0);
	assert.equal(callsFor(origin, "history"), before);
});

test("prefetch that is switched off trains on nothing, though sessions repeat themselves", async (t) => {
	const engine = await engineFor(t, { origin: namingOrigin(), config: { prefetch: { enabled: false } } });
	await teach(engine, 8);
	assert.deepEqual((await engine.predictions(request("profile", 1_000))).predictions, []);
	assert.equal((await prefetched(engine)).issued, 0);
});

test("a trained model is stored, and a new engine begins with it", async (t) => {
	const l2 = new TestStore();
	let now = Date.now();
	const options = {
		l2,
		clock: () => now,
		config: { prefetch: { holdout_percent: 0, persist_interval_seconds: 60 }, l2: { write_interval_ms: 0 } },
	};
	const first = await engineFor(t, { ...options, origin: namingOrigin() });
	await teach(first, 8);
	now += 61_000;
	await first.serve(request("profile", 1, "s1"));
	const stored = () => [...l2.entries].filter(([, value]) => text(value.subarray(0, 2)) === "FL");
	await until(() => stored().length === 1);

	const origin = namingOrigin();
	const second = await engineFor(t, { ...options, origin });
	// It has seen each shape once, and knows from the other which follows which.
	await second.serve(request("history", 2_000, "other"));
	await until(async () => (await prefetched(second)).models_merged === 1);
	const before = callsFor(origin, "history");
	await second.serve(request("profile", 3_000, "new"));
	await until(() => callsFor(origin, "history") === before + 1);

	const [[key, model]] = stored();
	l2.entries.set(
		key,
		model.map((byte, at) => (at === model.length - 1 ? byte ^ 1 : byte)),
	);
	const third = await engineFor(t, { ...options, origin: namingOrigin() });
	const answer = await third.serve(request("profile", 4_000, "s1"));
	assert.equal(answer.features[4_000].profile, "profile of 4000");
	await until(async () => (await prefetched(third)).models_ignored === 1);
	assert.equal((await prefetched(third)).models_merged, 0);
});
