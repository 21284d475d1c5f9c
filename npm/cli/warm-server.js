// The sink of `featheredge warm` for a server: `POST /v1/warm`, batch by batch.

import { stringify } from "../src/json.js";
import { count, mapOf, object } from "./answer.js";
import { ServerError, send } from "./client.js";
import { EXIT, Failure } from "./failure.js";
import { columnsOf, qualifiedBy } from "./rows.js";

/** The default batch: what `limits.warm_rows` allows by default. */
const BATCH = 800;

/** The statuses of a body with too many rows or bytes. */
const TOO_LARGE = [413, 422];
const OVER_LIMIT = "urn:featheredge:problem:over-limit";

/** How often in a row a server may have no time for more rows than before. */
const MAX_WITHOUT_PROGRESS = 3;

const REPORT = object({
	rows: count,
	failed: count,
	remaining: count,
	...Object.fromEntries(["fetched", "fresh", "not_found", "loaded", "origin_calls"].map((name) => [name, count])),
	stores: mapOf(object({ rows: count, failed: count })),
});

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

	/** The report of one request, or nothing if it was too large. */
	async function load(rows) {
		try {
			const body = bodyOf(rows, options);
			return (await send(options.url, "/v1/warm", { body, timeout: options.timeout, shape: REPORT })).value;
		} catch (error) {
			if (!isTooLarge(error) || rows.length < 2) throw error;
			return undefined;
		}
	}

	async function write(rows) {
		let least = Number.POSITIVE_INFINITY;
		for (let futile = 0; ; ) {
			const report = await load(rows);
			if (report === undefined) {
				// The server's limit is unknown, so halves are tried.
				const middle = rows.length >> 1;
				await write(rows.slice(0, middle));
				return write(rows.slice(middle));
			}
			const { failed, remaining, stores } = report;
			const refused = Object.values(stores).reduce((sum, store) => sum + store.failed, 0);
			if (failed > 0) throw new Failure(`the origin failed for ${failed} rows`, EXIT.refused);
			if (refused > 0) throw new Failure(`the server's stores did not accept ${refused} rows`, EXIT.refused);
			if (remaining === 0) {
				for (const name of Object.keys(total)) total[name] += report[name] ?? 0;
				total.stored += Math.max(0, ...Object.values(stores).map((store) => store.rows));
				return;
			}
			// The server had no time for some rows; the others are fresh now.
			futile = remaining < least ? 0 : futile + 1;
			least = Math.min(least, remaining);
			if (remaining >= report.rows || futile === MAX_WITHOUT_PROGRESS) {
				throw new Failure(`the server has no time for ${remaining} of the rows`, EXIT.refused);
			}
		}
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
