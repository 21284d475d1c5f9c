// The sink of `featheredge warm` for a server: `POST /v1/warm`, batch by batch.

import { stringify } from "../src/json.js";
import { ServerError, send } from "./client.js";
import { EXIT, Failure } from "./failure.js";
import { columnsOf, qualifiedBy } from "./rows.js";

/** The default batch: what `limits.warm_rows` allows by default. */
const BATCH = 800;

/** The statuses of a body with too many rows or bytes. */
const TOO_LARGE = [413, 422];
const OVER_LIMIT = "urn:featheredge:problem:over-limit";

/** The API's time of an event without a time. */
const EPOCH = "1970-01-01T00:00:00Z";

function time(value) {
	if (value === null || value === undefined) return EPOCH;
	return typeof value === "string" ? value : new Date(Number(value)).toISOString();
}

/**
 * The body of a request: with the rows' values, or, with `fetch`, with the features that the server fetches.
 */
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
	error instanceof ServerError && TOO_LARGE.includes(error.status) && error.problem?.type === OVER_LIMIT;

/**
 * @param {object} options the command's
 * @returns {Promise<import("./warm.js").Sink>}
 */
export async function openServer(options) {
	const total = { rows: 0, fetched: 0, fresh: 0, not_found: 0, loaded: 0, origin_calls: 0, stored: 0 };

	async function write(rows) {
		let report;
		try {
			report = JSON.parse(await send(options.url, "/v1/warm", bodyOf(rows, options)));
		} catch (error) {
			// The server's limit is unknown, so halves are tried.
			if (!isTooLarge(error) || rows.length < 2) throw error;
			const middle = rows.length >> 1;
			await write(rows.slice(0, middle));
			return write(rows.slice(middle));
		}
		const { failed, remaining, stores } = report;
		const refused = Object.values(stores).reduce((sum, store) => sum + store.failed, 0);
		if (failed > 0) throw new Failure(`the origin failed for ${failed} rows`, EXIT.refused);
		if (refused > 0) throw new Failure(`the server's stores did not accept ${refused} rows`, EXIT.refused);
		// The server had no time for some rows; the others are fresh now.
		if (remaining === report.rows) throw new Failure("the server had no time for any of the rows", EXIT.refused);
		if (remaining > 0) return write(rows);
		for (const name of Object.keys(total)) total[name] += report[name] ?? 0;
		total.stored += Math.max(...Object.values(stores).map((store) => store.rows));
	}

	return {
		batch: BATCH,
		write,
		part: () => 0,
		async close() {},
		summary: () => total,
		*describe({ loaded, fetched, fresh, not_found, origin_calls }) {
			yield options.fetch === undefined
				? `${loaded} loaded`
				: `${fetched} fetched by ${origin_calls} origin calls, ${fresh} were fresh, ${not_found} not found`;
		},
	};
}
