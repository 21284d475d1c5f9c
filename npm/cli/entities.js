// The option `--entities`: ids, or columns of keys.

import { parse } from "../src/json.js";
import { EXIT, Failure } from "./failure.js";

/** A typed value: `1` is a number, `"1"` in quotes is a text, and so is anything else. */
function typed(text) {
	try {
		return parse(text);
	} catch {
		return text;
	}
}

/**
 * @param {string[]} texts `a,b`, or `user_id=1,2`
 * @returns {{ ids: unknown[] } | { columns: Record<string, unknown[]> }}
 */
export function entitiesOf(texts) {
	const columns = {};
	let ids;
	for (const text of texts) {
		const [, name, values] = /^(?:([A-Za-z_]\w*)=)?(.*)$/s.exec(text);
		const list = values.split(",").map(typed);
		if (name === undefined) ids = [...(ids ?? []), ...list];
		else columns[name] = [...(columns[name] ?? []), ...list];
	}
	const hasColumns = Object.keys(columns).length > 0;
	if ((ids === undefined) !== hasColumns) {
		throw new Failure("give entities either as ids or as COLUMN=VALUES", EXIT.usage);
	}
	return hasColumns ? { columns } : { ids };
}

/**
 * The rows of key columns in batches, like those of a file.
 *
 * @param {Record<string, unknown[]>} columns
 * @param {number} batch
 */
export function rowsOf(columns, batch) {
	const names = Object.keys(columns);
	const total = columns[names[0]].length;
	if (names.some((name) => columns[name].length !== total)) {
		throw new Failure("`--entities` has columns of different lengths", EXIT.usage);
	}
	const rows = Array.from({ length: total }, (_, row) =>
		Object.fromEntries(names.map((name) => [name, columns[name][row]])),
	);
	async function* batches() {
		for (let start = 0; start < total; start += batch) yield rows.slice(start, start + batch);
	}
	return { total, batches: batches() };
}
