// L1, in one process: body bytes to answer bytes, all in memory, ours beside the plain approach.
//
// Rounds are interleaved, so that a machine that slows down slows both; what is printed is the median of the rounds' ratios.

import assert from "node:assert/strict";
import { Engine } from "./engine.mjs";
import { MapJson } from "./peers/map-json.mjs";

/** Entities, features, and the least ratio that is good enough. */
const SHAPES = [
	{ entities: 1, features: 5, goal: 2 },
	{ entities: 5, features: 15 },
	{ entities: 10, features: 20 },
	{ entities: 100, features: 50, goal: 5 },
];

const ROUNDS = 9;
const ROUND_MILLIS = 120;
const EVENT_TIME = "2026-11-23T08:00:00Z";

/** A small generator of pseudo-random numbers (mulberry32), so that every run measures the same values. */
function generator(seed) {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
	};
}

/** Half of the features are float32 widened to double as Feast writes them, the rest counts and short texts. */
function value(random, feature) {
	if (feature % 2 === 0) return Math.fround(random());
	return feature % 10 === 9 ? `segment_${Math.floor(random() * 1_000)}` : Math.floor(random() * 1_000);
}

function workload({ entities, features }) {
	const random = generator(entities * 1_000 + features);
	const names = Array.from({ length: features }, (_, feature) => `feature_${feature}`);
	const ids = Array.from({ length: entities }, (_, row) => 1_001 + row * 7);
	const column = (values, time) => ({
		values,
		statuses: values.map(() => "PRESENT"),
		event_timestamps: values.map(() => time),
	});
	const request = { features: names.map((name) => `driver_hourly_stats:${name}`), entities: { driver_id: ids } };
	const answer = {
		results: [
			column(ids, "1970-01-01T00:00:00Z"),
			...names.map((_, feature) =>
				column(
					ids.map(() => value(random, feature)),
					EVENT_TIME,
				),
			),
		],
		metadata: { feature_names: ["driver_id", ...names] },
	};
	return { request, answer, body: Buffer.from(JSON.stringify(request)) };
}

/** Microseconds per call over one round. */
function time(serve, body) {
	const began = process.hrtime.bigint();
	const end = began + BigInt(ROUND_MILLIS) * 1_000_000n;
	let calls = 0;
	let now = began;
	while (now < end) {
		for (let call = 0; call < 16; call++) serve(body);
		calls += 16;
		now = process.hrtime.bigint();
	}
	return Number(now - began) / 1_000 / calls;
}

const median = (numbers) => numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)];

/** @returns one row for each shape: medians in microseconds, and how many times the peer's time ours is smaller by */
export function measureL1() {
	return SHAPES.map((shape) => {
		const { request, answer, body } = workload(shape);
		const engine = new Engine({ l2: { enabled: false }, limits: { cells: 1_000_000 } });
		const bytes = Buffer.from(JSON.stringify(answer));
		engine.fill(body, () => bytes);
		const peer = new MapJson();
		peer.fill(request, answer);
		assert.deepEqual(JSON.parse(Buffer.from(engine.serve(body))), JSON.parse(Buffer.from(peer.serve(body))));
		const serveOurs = (body) => engine.serve(body);
		const servePeer = (body) => peer.serve(body);
		time(serveOurs, body);
		time(servePeer, body);
		const rounds = Array.from({ length: ROUNDS }, () => ({ ours: time(serveOurs, body), peer: time(servePeer, body) }));
		const ratios = rounds.map((round) => round.peer / round.ours);
		return {
			name: `l1 ${shape.entities} × ${shape.features}`,
			unit: "µs",
			ours: median(rounds.map((round) => round.ours)),
			peer: median(rounds.map((round) => round.peer)),
			peer_name: "Map of rows, JSON",
			ratio: median(ratios),
			spread: [Math.min(...ratios), Math.max(...ratios)],
			goal: shape.goal ?? null,
			met: shape.goal === undefined ? null : median(ratios) >= shape.goal,
			bytes: engine.serve(body).length,
		};
	});
}
