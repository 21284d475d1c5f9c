// What a value costs as requests and L1 grow: flat, where nothing grows faster than what is asked.

import { Engine } from "./engine.mjs";
import { median, race } from "./measure.mjs";
import { generator, ZERO } from "./workload.mjs";

const EVENT_TIME = "2026-11-23T08:00:00Z";
const ROUND_MILLIS = 15;
/** How much dearer a value may become. */
const TOLERANCE = 1.2;
/** How many rows one call of the origin fills: as many as a large request has, for what the call itself takes is no row's. */
const FILLED_AT_ONCE = 100;

const CONFIG = {
	l2: { enabled: false },
	limits: { cells: 10_000_000, entities: 1_000_000, body_bytes: 100_000_000, origin_body_bytes: 1_000_000_000 },
	l1: { max_entries: 2_000_000, max_bytes: 2_000_000_000 },
	memory: { max_bytes: 4_000_000_000 },
	views: { stats: { join_keys: ["driver_id"] } },
	freshness: { early_refresh_percent: 0 },
};

export const namesOf = (features) => Array.from({ length: features }, (_, feature) => `feature_${feature}`);

export const bodyOf = (ids, features) =>
	Buffer.from(
		JSON.stringify({ features: namesOf(features).map((name) => `stats:${name}`), entities: { driver_id: ids } }),
	);

/** An origin that knows every entity; a value is a float32 as Feast writes it. */
export function inventing(body) {
	const { features, entities } = JSON.parse(Buffer.from(body).toString());
	const ids = entities.driver_id;
	const random = generator(ids[0] ?? 0);
	const column = (values, time) => ({
		values,
		statuses: values.map(() => "PRESENT"),
		event_timestamps: values.map(() => time),
	});
	const names = features.map((reference) => reference.slice(reference.indexOf(":") + 1));
	const columns = names.map(() =>
		column(
			ids.map(() => Math.fround(random())),
			EVENT_TIME,
		),
	);
	return Buffer.from(
		JSON.stringify({
			results: [column(ids, ZERO), ...columns],
			metadata: { feature_names: ["driver_id", ...names] },
		}),
	);
}

/** Fills L1 with the rows from `from` to `to`. */
export function fillRows(engine, from, to, features) {
	for (let start = from; start < to; start += FILLED_AT_ONCE) {
		const ids = Array.from({ length: Math.min(FILLED_AT_ONCE, to - start) }, (_, at) => start + at);
		engine.fill(bodyOf(ids, features), inventing);
	}
}

/** A row beside the smallest of its kind. */
function beside(name, ours, first, peerName) {
	const ratios = ours.map((time, round) => first[round] / time);
	const ratio = median(ratios);
	return {
		name,
		unit: "ns a value",
		ours: median(ours),
		peer: median(first),
		peer_name: peerName,
		ratio,
		spread: [Math.min(...ratios), Math.max(...ratios)],
		goal: 1 / TOLERANCE,
		met: ratio >= 1 / TOLERANCE,
	};
}

export const power = (number) => `10^${Math.round(Math.log10(number))}`;

/** Requests of 10^2 to 10^5 values, of ten features each. */
async function byRequest() {
	const features = 10;
	const engine = new Engine(CONFIG);
	const sizes = [100, 1_000, 10_000, 100_000];
	const most = sizes.at(-1) / features;
	fillRows(engine, 0, most, features);
	const bodies = sizes.map((values) =>
		bodyOf(
			Array.from({ length: values / features }, (_, at) => at),
			features,
		),
	);
	const times = await race(
		bodies.map((body) => ({ serve: () => engine.serve(body) })),
		ROUND_MILLIS,
	);
	const byValue = times.map((rounds, at) => rounds.map((micros) => (micros * 1_000) / sizes[at]));
	return sizes
		.slice(1)
		.map((values, at) => beside(`growth, ${power(values)} values a request`, byValue[at + 1], byValue[0], "10^2"));
}

/** Requests of 10 × 10 among 10^3 to 10^6 rows in L1, drawn evenly. */
async function byRows() {
	const features = 10;
	const entities = 10;
	const sizes = [1_000, 10_000, 100_000, 1_000_000];
	const random = generator(7);
	const contenders = sizes.map((rows) => {
		const engine = new Engine(CONFIG);
		fillRows(engine, 0, rows, features);
		const bodies = Array.from({ length: 4_096 }, () =>
			bodyOf(
				Array.from({ length: entities }, () => Math.floor(random() * rows)),
				features,
			),
		);
		let turn = 0;
		return { serve: () => engine.serve(bodies[turn++ % bodies.length]) };
	});
	const times = await race(contenders, ROUND_MILLIS);
	const byValue = times.map((rounds) => rounds.map((micros) => (micros * 1_000) / (entities * features)));
	return sizes
		.slice(1)
		.map((rows, at) => beside(`growth, ${power(rows)} rows in L1`, byValue[at + 1], byValue[0], "10^3"));
}

/** @returns rows that `isWanted` */
export async function measureGrowth(isWanted) {
	return isWanted("growth") ? [...(await byRequest()), ...(await byRows())] : [];
}
