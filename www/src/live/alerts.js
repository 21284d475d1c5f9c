// The list of alerts.

import { el } from "../dom.js";
import { milliseconds } from "../headers.js";
import { count, percent } from "../results/tables.js";

/** The most resolved alerts that are shown. */
const MAX_RESOLVED = 8;

const times = (value) => `${Number(value.toPrecision(3))} ×`;

/** The title of each type of alert, and its value and threshold in their unit. */
const TYPES = {
	high_latency: ["A request was slow", (value, limit) => `${milliseconds(value)}, alerts at ${milliseconds(limit)}`],
	low_cache_hit_rate: ["Low cache hit ratio", (value, limit) => `${percent(value)}, alerts below ${percent(limit)}`],
	l2_breaker_open: ["L2: circuit open after repeated failures", () => ""],
	l3_breaker_open: ["L3: circuit open after repeated failures", () => ""],
	origin_breaker_open: ["Origin: circuit open after repeated failures", () => ""],
	origin_errors: ["Requests to the origin fail", (value, limit) => `${percent(value)}, alerts at ${percent(limit)}`],
	l2_write_budget: ["The daily write quota of L2 is exhausted", (value) => `${count(value)} rows not written`],
	sla_violation: ["SLO violated", (value) => `${count(value)} targets violated`],
	sla_burn_1h: ["High burn rate of the error budget (1 h)", burnRate],
	sla_burn_6h: ["High burn rate of the error budget (6 h)", burnRate],
	sla_burn_3d: ["High burn rate of the error budget (3 d)", burnRate],
};

function burnRate(value, limit) {
	return `${times(value)} the sustainable rate, alerts at ${times(limit)}`;
}

const clock = (text) => new Date(text).toLocaleTimeString("en-GB");

function item({ type, status, severity, value, threshold, opened_at, resolved_at }) {
	const [title, describe] = TYPES[type] ?? [type.replaceAll("_", " "), () => ""];
	const isOpen = status === "open";
	const span = isOpen ? `since ${clock(opened_at)}` : `${clock(opened_at)} to ${clock(resolved_at)}`;
	const caption = [describe(value, threshold), severity, span].filter((text) => text !== "").join(" · ");
	return el(
		"li",
		{},
		el("span.verdict", { "data-verdict": isOpen ? "missed" : "none" }, isOpen ? "open" : "resolved"),
		el("span", {}, title),
		el("span.caption.figure", {}, caption),
	);
}

/** The open alerts, and the latest resolved ones. */
export function alertList({ open, resolved }) {
	if (open.length + resolved.length === 0) return el("p.note", {}, "No alerts since this isolate started.");
	return el("ul.alerts", {}, ...[...open, ...resolved.slice(0, MAX_RESOLVED)].map(item));
}
