// What is asked and what is answered: one view keyed by one column, as Feast answers it.

export const ZERO = "1970-01-01T00:00:00Z";
const EVENT_TIME = "2026-11-23T08:00:00Z";

/** A small generator of pseudo-random numbers (mulberry32), so that every run measures the same values. */
export function generator(seed) {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
	};
}

/** Half of the features are float32 widened to double as Feast writes them, the rest counts and short texts. */
function scalar(random, feature) {
	if (feature % 2 === 0) return Math.fround(random());
	return feature % 10 === 9 ? `segment_${Math.floor(random() * 1_000)}` : Math.floor(random() * 1_000);
}

const vector = (random, length) => Array.from({ length }, () => Math.fround(random() * 2 - 1));

/**
 * A request for `features` of `entities`, and the origin's answer; with `floats`, each value is a vector of so many.
 *
 * @returns {{ request: object, answer: object, body: Buffer }}
 */
export function workload({ entities, features, floats }) {
	const random = generator(entities * 1_000 + features);
	const names = Array.from({ length: features }, (_, feature) => `feature_${feature}`);
	const ids = Array.from({ length: entities }, (_, row) => 1_001 + row * 7);
	const column = (values, time) => ({
		values,
		statuses: values.map(() => "PRESENT"),
		event_timestamps: values.map(() => time),
	});
	const value = (feature) => (floats === undefined ? scalar(random, feature) : vector(random, floats));
	const request = { features: names.map((name) => `driver_hourly_stats:${name}`), entities: { driver_id: ids } };
	const columns = names.map((_, feature) => ids.map(() => value(feature)));
	const answer = {
		results: [column(ids, ZERO), ...columns.map((values) => column(values, EVENT_TIME))],
		metadata: { feature_names: ["driver_id", ...names] },
	};
	return { request, answer, body: Buffer.from(JSON.stringify(request)) };
}

/** The origin that answers requests for some of the rows and columns that a workload's answer has. */
export function originOf({ answer }) {
	const { feature_names } = answer.metadata;
	const [{ values: ids }, ...columns] = answer.results;
	return (body) => {
		const { features, entities } = JSON.parse(Buffer.from(body).toString());
		const [key, asked] = Object.entries(entities)[0];
		const places = asked.map((id) => ids.indexOf(id));
		const names = features.map((reference) => reference.slice(reference.indexOf(":") + 1));
		const pick = ({ values, statuses, event_timestamps }) => ({
			values: places.map((at) => values[at]),
			statuses: places.map((at) => statuses[at]),
			event_timestamps: places.map((at) => event_timestamps[at]),
		});
		const results = [answer.results[0], ...names.map((name) => columns[feature_names.indexOf(name) - 1])].map(pick);
		return Buffer.from(JSON.stringify({ results, metadata: { feature_names: [key, ...names] } }));
	};
}
