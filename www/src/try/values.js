// A response as a table: one line per value for the native API, one column per feature for Feast's.

import { el, svg } from "../dom.js";
import { age, TIERS } from "../headers.js";
import { member, numberOf, parse, stringOf, textOf } from "../json.js";
import { NATIVE } from "./presets.js";
import { statusHints } from "./statuses.js";

/** The rows that are drawn at once; the rest on demand, so that large batches do not block the page. */
const FIRST_ROWS = 200;
/** Characters of a value that a cell shows before it is cut. */
const LONG = 120;
/** Numbers that make an array a vector worth drawing. */
const VECTOR = 8;

/**
 * @param {import("../exchange.js").Exchange} exchange
 * @param {import("../json.js").Value | undefined} root
 */
export function values(exchange, root) {
	const table = exchange.endpoint === NATIVE ? nativeTable(exchange, root) : feastTable(exchange, root);
	return table ?? el("p.note", {}, "This response has no table. See its JSON.");
}

/** The rows of a native response: of its object, or of the lines of a stream. */
function nativeRows({ text, lines }, root) {
	if (lines === undefined) {
		const rows = member(root, "features")?.members;
		return rows?.map(({ key, value }) => ({ entity: key, text, features: value.members ?? [] }));
	}
	return lines.flatMap(({ text }) => {
		const line = parse(text);
		const entity = member(line, "entity");
		if (entity === undefined) return [];
		const name = stringOf(text, entity) ?? textOf(text, entity);
		return [{ entity: name, text, features: member(line, "features")?.members ?? [] }];
	});
}

function nativeTable(exchange, root) {
	const rows = nativeRows(exchange, root);
	if (rows === undefined) return undefined;
	const asked = included(exchange.requestText);
	const hintOf = statusHints(exchange);
	const columns = NATIVE_COLUMNS.filter(({ include }) => include === undefined || asked.has(include));
	// On a narrow screen an entity is above its features, not beside them.
	const isNarrow = matchMedia("(max-width: 40rem)").matches;
	const groups = rows.map(({ entity, text, features: members }) => {
		const rows = members.map(({ key: feature, value }, index) => {
			const cell = (name) => (asked.size > 0 ? member(value, name) : name === "value" ? value : undefined);
			const beside = !isNarrow && index === 0 && el("th", { scope: "rowgroup", rowspan: members.length }, entity);
			return el(
				"tr",
				{},
				beside,
				el("th", { scope: "row" }, feature),
				...columns.map(({ draw }) => draw(text, cell, hintOf)),
			);
		});
		return isNarrow
			? [el("tr", {}, el("th", { scope: "rowgroup", colspan: columns.length + 1 }, entity)), ...rows]
			: rows;
	});
	const names = [...(isNarrow ? [] : ["Entity"]), "Feature", ...columns.map(({ name }) => name)];
	const head = el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, name)));
	const hint =
		asked.size === 0 &&
		el(
			"p.note",
			{},
			"Add ",
			el("code", {}, '"include": ["status", "age", "tier"]'),
			" to the request to see where each value came from.",
		);
	return el("div", {}, tableOf("Values by entity and feature", "native", head, groups), hint);
}

const NATIVE_COLUMNS = [
	{ name: "Value", draw: (text, cell) => el("td", {}, shown(text, cell("value"))) },
	{ name: "Tier", include: "tier", draw: (text, cell) => el("td", {}, tier(stringOf(text, cell("tier")))) },
	{ name: "Age", include: "age", draw: (text, cell) => el("td.figure", {}, ageOf(numberOf(text, cell("age_ms")))) },
	{
		name: "Status",
		include: "status",
		draw: (text, cell, hintOf) => el("td", {}, status(stringOf(text, cell("status")), hintOf)),
	},
	{
		name: "Event time",
		include: "event_timestamp",
		draw: (text, cell) => el("td.figure", {}, eventTime(stringOf(text, cell("event_timestamp")))),
	},
];

/** The names in the request's `include`. */
function included(requestText) {
	try {
		const include = member(parse(requestText), "include");
		return new Set((include?.items ?? []).map((item) => stringOf(requestText, item)));
	} catch {
		return new Set();
	}
}

function feastTable(exchange, root) {
	const { text } = exchange;
	const hintOf = statusHints(exchange);
	const names = member(member(root, "metadata"), "feature_names")?.items?.map((name) => stringOf(text, name));
	const results = member(root, "results")?.items;
	if (names === undefined || results === undefined) return undefined;
	const columns = results.map((result) => ({
		values: member(result, "values")?.items ?? [],
		statuses: member(result, "statuses")?.items ?? [],
		times: member(result, "event_timestamps")?.items ?? [],
	}));
	const rows = Math.max(0, ...columns.map((column) => column.values.length));
	const head = el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, name)));
	const body = Array.from({ length: rows }, (_, row) =>
		el(
			"tr",
			{},
			...columns.map((column) => feastCell(text, column.values[row], column.statuses[row], column.times[row], hintOf)),
		),
	);
	return tableOf("Values by entity row", "feast", head, [body]);
}

function feastCell(text, value, statusNode, time, hintOf) {
	const when = eventTime(stringOf(text, time));
	return el(
		"td",
		{},
		shown(text, value),
		el("span.cell-foot", {}, status(stringOf(text, statusNode), hintOf), when && el("span.when", {}, when)),
	);
}

/** A table in a region that can be scrolled by keyboard. */
function tableOf(caption, kind, head, groups) {
	const count = groups.reduce((sum, group) => sum + group.length, 0);
	const table = el("table", { class: kind }, el("caption.hidden", {}, caption), el("thead", {}, head));
	const region = el("div.table", { tabindex: 0, role: "region", "aria-label": caption }, table);
	let drawn = 0;
	let next = 0;
	const draw = (limit) => {
		while (next < groups.length && drawn < limit) {
			const group = groups[next];
			const rows = kind === "native" ? group : group.slice(drawn, limit);
			drawn += rows.length;
			if (kind === "native" || drawn >= group.length) next += 1;
			table.append(el("tbody", {}, ...rows));
		}
	};
	draw(FIRST_ROWS);
	if (drawn >= count) return region;
	const more = el(
		"button.quiet",
		{
			type: "button",
			onclick: () => {
				draw(Number.POSITIVE_INFINITY);
				more.remove();
				region.focus();
			},
		},
		`Show all ${count} rows`,
	);
	return el("div", {}, region, more);
}

/** A value as it was sent; long ones cut, with the whole behind a click, and vectors drawn. */
function shown(text, value) {
	if (value === undefined) return "";
	const raw = textOf(text, value);
	const numbers = value.items?.map((item) => numberOf(text, item));
	if (numbers?.length >= VECTOR && numbers.every((number) => number !== undefined)) return vector(raw, numbers);
	const kind = value.kind === "literal" && raw === "null" ? "null" : value.kind;
	if (raw.length <= LONG) return el("code.value", { "data-kind": kind }, raw);
	return folded(el("code.value", { "data-kind": kind }, `${raw.slice(0, LONG)}…`), raw);
}

function vector(raw, numbers) {
	return folded(el("span.vector", {}, plot(numbers), el("span.caption", {}, `${numbers.length} numbers`)), raw);
}

function folded(summary, raw) {
	return el("details", {}, el("summary", {}, summary), el("code.value.whole", {}, raw));
}

/** A vector's components as bars from a zero line. */
function plot(numbers) {
	const height = 24;
	const most = Math.max(...numbers.map(Math.abs)) || 1;
	const bars = numbers.map(
		(number, index) => `M${index + 0.5} ${height / 2}v${(-(number / most) * (height / 2)).toFixed(1)}`,
	);
	return svg(
		"svg.plot",
		{ viewBox: `0 0 ${numbers.length} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
		svg("path", { d: bars.join("") }),
	);
}

function status(name, hintOf) {
	if (!name) return "";
	const hint = hintOf(name);
	return el("span", {}, el("span.status", { "data-status": name }, name), hint && el("span.status-hint", {}, hint));
}

function tier(name) {
	const known = TIERS.find(({ native }) => native === name);
	return name ? el("span.tier", { "data-tier": known?.id ?? "none" }, known?.label ?? name) : "";
}

const ageOf = (value) => (value === undefined ? "" : age(value));

/** Feast uses time zero for a missing time. */
const eventTime = (text) =>
	text === undefined || text.startsWith("1970-01-01T00:00:00") ? "" : text.replace("T", " ").replace("Z", " UTC");
