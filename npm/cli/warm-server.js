// Where `featheredge warm` puts rows when it is a server: its `POST /v1/warm`, batch by batch.

import { stringify } from "../src/json.js";
import { EXIT, Failure } from "./failure.js";
import { columnsOf, qualifiedBy } from "./rows.js";
import { ask, Refused } from "./world.js";

/** How many rows go at a time, by default: what `limits.warm_rows` allows where it is not set. */
const BATCH = 800;

/** A body of so many rows, or so many bytes, is more than the server takes. */
const TOO_LARGE = [413, 422];
const OVER_LIMIT = "urn:featheredge:problem:over-limit";

/** What the API says of an event whose time is not known. */
const EPOCH = "1970-01-01T00:00:00Z";

function time(value) {
	if (value === null || value === undefined) return EPOCH;
	return typeof value === "string" ? value : new Date(Number(value)).toISOString();
}

/** The body that warms rows: with their values, or, where `fetch` names features, by letting the server fetch these. */
function bodyOf(rows, { view, keys, eventTime, features, fetch }) {
	const qualified = qualifiedBy(view);
	if (fetch !== undefined) {
		const { columns } = columnsOf(rows, { keys, features: [] });
		return stringify({ entities: columns, feature_names: fetch.map(qualified) });
	}
	const { columns, values, eventTimestamps } = columnsOf(rows, { keys, eventTime, features });
	return stringify({
		entities: columns,
		values: Object.fromEntries(Object.entries(values).map(([name, column]) => [qualified(name), column])),
		...(eventTimestamps && { event_timestamps: eventTimestamps.map(time) }),
	});
}

const isTooLarge = (error) =>
	error instanceof Refused && TOO_LARGE.includes(error.status) && error.problem?.type === OVER_LIMIT;

/**
 * @param {object} options the command's
 * @returns {Promise<import("./warm.js").Sink>}
 */
export async function openServer(options) {
	const total = { rows: 0, fetched: 0, fresh: 0, not_found: 0, loaded: 0, origin_calls: 0, stored: 0 };

	async function take(rows) {
		let report;
		try {
			report = JSON.parse(await ask(options.url, "/v1/warm", bodyOf(rows, options)));
		} catch (error) {
			// What the server allows is not asked for: half of it may be allowed.
			if (!isTooLarge(error) || rows.length < 2) throw error;
			const middle = rows.length >> 1;
			await take(rows.slice(0, middle));
			return take(rows.slice(middle));
		}
		const { failed, remaining, stores } = report;
		const refused = Object.values(stores).reduce((sum, store) => sum + store.failed, 0);
		if (failed > 0) throw new Failure(`the origin could not give ${failed} rows`, EXIT.refused);
		if (refused > 0) throw new Failure(`the server's stores did not take ${refused} rows`, EXIT.refused);
		// There was no time for some: those that were done are fresh by now.
		if (remaining === report.rows) throw new Failure("the server began none of the rows in time", EXIT.refused);
		if (remaining > 0) return take(rows);
		for (const name of Object.keys(total)) total[name] += report[name] ?? 0;
		total.stored += Math.max(...Object.values(stores).map((store) => store.rows));
	}

	return {
		batch: BATCH,
		take,
		part: () => 0,
		async close() {},
		summary: () => total,
		*said({ loaded, fetched, fresh, not_found, origin_calls }) {
			yield options.fetch === undefined
				? `${loaded} loaded`
				: `${fetched} fetched by ${origin_calls} calls, ${fresh} were there, ${not_found} not found`;
		},
	};
}
