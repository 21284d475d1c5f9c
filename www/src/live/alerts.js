// Alerts in words.

import { el } from "../dom.js";
import { milliseconds } from "../headers.js";
import { count, percent } from "../results/tables.js";

/** How many that are over are shown. */
const MOST_RESOLVED = 8;

const times = (value) => `${Number(value.toPrecision(3))} ×`;

/** What an alert is about, and its value and threshold in its unit. */
const SUBJECTS = {
	high_latency: ["A request was slow", (value, limit) => `${milliseconds(value)}, alerts at ${milliseconds(limit)}`],
	low_cache_hit_rate: [
		"Few rows come from the caches",
		(value, limit) => `${percent(value)}, alerts below ${percent(limit)}`,
	],
	l2_breaker_open: ["L2 is left alone, for it kept failing", () => ""],
	l3_breaker_open: ["L3 is left alone, for it kept failing", () => ""],
	origin_breaker_open: ["The origin is left alone, for it kept failing", () => ""],
	origin_errors: ["Calls to the origin fail", (value, limit) => `${percent(value)}, alerts at ${percent(limit)}`],
	l2_write_budget: ["The day’s writes to L2 are spent", (value) => `${count(value)} rows not written`],
	sla_violation: ["The promise is not kept", (value) => `${count(value)} of the targets missed`],
	sla_burn_1h: ["The error budget burns fast", burning],
	sla_burn_6h: ["The error budget burns", burning],
	sla_burn_3d: ["The error budget burns slowly", burning],
};

function burning(value, limit) {
	return `${times(value)} the permitted rate, alerts at ${times(limit)}`;
}

const clock = (text) => new Date(text).toLocaleTimeString("en-GB");

function item({ type, status, severity, value, threshold, opened_at, resolved_at }) {
	const [title, words] = SUBJECTS[type] ?? [type.replaceAll("_", " "), () => ""];
	const isOpen = status === "open";
	const span = isOpen ? `since ${clock(opened_at)}` : `${clock(opened_at)} to ${clock(resolved_at)}`;
	const caption = [words(value, threshold), severity, span].filter((text) => text !== "").join(" · ");
	return el(
		"li",
		{},
		el("span.verdict", { "data-verdict": isOpen ? "missed" : "none" }, isOpen ? "open" : "over"),
		el("span", {}, title),
		el("span.caption.figure", {}, caption),
	);
}

/** The alerts that are open, and the last of those that are over. */
export function alertList({ open, resolved }) {
	if (open.length + resolved.length === 0) return el("p.note", {}, "Nothing was amiss since this isolate began.");
	return el("ul.alerts", {}, ...[...open, ...resolved.slice(0, MOST_RESOLVED)].map(item));
}
