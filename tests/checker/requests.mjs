// The plan's steps as HTTP requests, and what their answers say of each value.

import { OPERATOR_TOKEN } from "./product.mjs";

const text = JSON.stringify;
const objectOf = (columns) =>
	`{${Object.entries(columns)
		.map(([name, spellings]) => `${text(name)}:[${spellings.join()}]`)
		.join()}}`;

/** The body of a read of the native protocol. */
function nativeBody({ columns, references, level, bound, deadline, priority, session, hasDetails }) {
	const more = {
		feature_names: references,
		consistency_level: level,
		max_staleness_seconds: bound,
		...(deadline !== undefined && { deadline_ms: deadline }),
		...(priority !== undefined && { priority }),
		...(session !== undefined && { session_id: session }),
		...(hasDetails && { include: ["status", "age", "tier"] }),
	};
	return `{"entities":${objectOf(columns)},${text(more).slice(1)}`;
}

const operator = { authorization: `Bearer ${OPERATOR_TOKEN}` };

/** How a step is asked for. */
export function requestOf(step) {
	switch (step.kind) {
		case "read": {
			const { abortAfterMs, pauseMs } = step;
			if (step.protocol !== "feast") {
				const isByLines = step.protocol === "lines";
				const headers = isByLines ? { accept: "application/x-ndjson" } : {};
				return { path: "/v1/features", body: nativeBody(step), headers, isByLines, abortAfterMs, pauseMs };
			}
			const what = step.service === undefined ? { features: step.references } : { feature_service: step.service };
			const more = text({ ...what, ...(step.isFull && { full_feature_names: true }) });
			const body = `{"entities":${objectOf(step.columns)},${more.slice(1)}`;
			const headers = step.session === undefined ? {} : { "featheredge-session": step.session };
			return { path: "/get-online-features", body, headers, abortAfterMs };
		}
		case "write": {
			const named =
				step.path === "/push" ? { push_source_name: `${step.view}_push` } : { feature_view_name: step.view };
			const body = `{"df":${objectOf(step.df)},${text(named).slice(1)}`;
			const headers = { ...operator, "x-checker-write": String(step.number) };
			return { path: step.path, body, headers, abortAfterMs: step.abortAfterMs };
		}
		case "invalidate": {
			const body = {
				rows: () => `{"view":${text(step.view)},"entities":${objectOf(step.columns)}}`,
				view: () => text({ view: step.view }),
				everything: () => text({ everything: true }),
			}[step.what]();
			return { path: "/v1/invalidate", body, headers: operator };
		}
		case "warm": {
			const what =
				step.how === "load"
					? `"values":{${step.references.map((reference, at) => `${text(reference)}:${text(step.values[at])}`).join()}}`
					: `"feature_names":${text(step.references)}`;
			return { path: "/v1/warm", body: `{"entities":${objectOf(step.columns)},${what}}`, headers: operator };
		}
		case "explain":
			return {
				method: "GET",
				path: `/v1/predictions?native=${encodeURIComponent(nativeBody(step))}`,
				headers: operator,
			};
		default:
			throw new Error(`no such step: ${step.kind}`);
	}
}

/**
 * @typedef {object} Cell one value of an answer
 * @property {number} row of the request
 * @property {string} reference
 * @property {unknown} value
 * @property {string} [status] as the answer tells it
 * @property {number} [ageMs]
 * @property {string} [tier]
 * @property {number} at when it came
 */

/**
 * The values of an answer with status 200.
 *
 * @returns {{ cells: Cell[], isWhole: boolean, latencyMs?: number }} how long it took by its own word, where that is of the whole answer
 * @throws {Error} where the answer does not have the form, the entities or the names that were asked for
 */
export function cellsOf(step, exchange) {
	if (step.protocol === "feast") return feastCells(step, exchange);
	return step.protocol === "lines" ? lineCells(step, exchange) : nativeCells(step, exchange);
}

const rowsOf = ({ columns }) => Object.values(columns)[0].length;

function feastCells(step, { lines, end, headers }) {
	if (end !== "done") return { cells: [], isWhole: false };
	const { metadata, results } = JSON.parse(lines[0].text);
	const names = Object.keys(step.columns);
	const shown = (reference) => (step.isFull ? reference.replace(":", "__") : reference.split(":")[1]);
	const expected = [...names, ...step.references.map(shown)];
	// Feast has the join keys first, in an order of its own.
	const isSame = sameItems(metadata.feature_names.slice(0, names.length), names);
	if (!isSame || text(metadata.feature_names.slice(names.length)) !== text(expected.slice(names.length))) {
		throw new Error(`its names are ${text(metadata.feature_names)} where ${text(expected)} were asked for`);
	}
	if (results.length !== expected.length)
		throw new Error(`it has ${results.length} columns for ${expected.length} names`);
	const rows = rowsOf(step);
	const cells = step.references.flatMap((reference, at) => {
		const { values, statuses } = results[names.length + at];
		if (values.length !== rows) throw new Error(`it has ${values.length} values of ${reference} for ${rows} rows`);
		return values.map((value, row) => ({ row, reference, value, status: statuses?.[row], at: lines[0].at }));
	});
	const latencyMs = Number(/total;dur=(\d+)/.exec(headers["server-timing"])?.[1]);
	return { cells, isWhole: true, latencyMs };
}

const sameItems = (one, other) => text([...one].sort()) === text([...other].sort());

/** How a line names a row. */
function lineKey({ columns }, row) {
	const entries = Object.entries(columns);
	if (entries.length === 1) return entries[0][1][row];
	return `{${entries.map(([name, spellings]) => `${text(name)}:${spellings[row]}`).join()}}`;
}

/** Under which key the native protocol answers for a row. */
function nativeKey({ columns }, row) {
	const spelling = lineKey({ columns }, row);
	return spelling[0] === '"' ? JSON.parse(spelling) : spelling;
}

function entityCells(step, row, features, at) {
	if (!sameItems(Object.keys(features), step.references)) {
		throw new Error(`its names are ${text(Object.keys(features))} where ${text(step.references)} were asked for`);
	}
	return step.references.map((reference) => {
		const found = features[reference];
		if (!step.hasDetails) return { row, reference, value: found, at };
		return { row, reference, value: found.value, status: found.status, ageMs: found.age_ms, tier: found.tier, at };
	});
}

function nativeCells(step, { lines, end }) {
	if (end !== "done") return { cells: [], isWhole: false };
	const { features, latency_ms: latencyMs } = JSON.parse(lines[0].text);
	const cells = [];
	const keys = Array.from({ length: rowsOf(step) }, (_, row) => nativeKey(step, row));
	if (!sameItems(Object.keys(features), new Set(keys))) {
		throw new Error(`its entities are ${text(Object.keys(features))} where ${text([...new Set(keys)])} were asked for`);
	}
	for (const [row, key] of keys.entries()) cells.push(...entityCells(step, row, features[key], lines[0].at));
	return { cells, isWhole: true, latencyMs };
}

function lineCells(step, { lines, end }) {
	const cells = [];
	let isWhole = false;
	/** The first row of each spelling. */
	const left = new Map();
	for (let row = 0; row < rowsOf(step); row++) {
		const spelling = lineKey(step, row);
		if (!left.has(spelling)) left.set(spelling, row);
	}
	for (const { at, text: line } of lines) {
		let parsed;
		try {
			parsed = JSON.parse(line);
		} catch (error) {
			if (end !== "done") break;
			throw error;
		}
		if (isWhole) throw new Error("a line follows the last");
		if (parsed.entity === undefined) {
			isWhole = true;
			continue;
		}
		const spelling = line.slice('{"entity":'.length, line.indexOf(',"features":'));
		const row = left.get(spelling);
		if (row === undefined) throw new Error(`a line for ${spelling}, which was not asked for, or not twice`);
		left.delete(spelling);
		cells.push(...entityCells(step, row, parsed.features, at));
	}
	if (end === "done" && !isWhole) throw new Error("it was cut off: there is no last line");
	if (isWhole && left.size > 0) throw new Error(`no line for ${text([...left.keys()])}`);
	return { cells, isWhole };
}
