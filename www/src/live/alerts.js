// The list of alerts.

import { el } from "../dom.js";
import { milliseconds } from "../headers.js";
import { count, many, percent } from "../results/tables.js";

/** The most resolved alerts that are shown. */
const MAX_RESOLVED = 8;

const times = (value) => `${Number(value.toPrecision(3))} ×`;
const no = () => "";

/** The title of each type of alert, its value in its unit, and when it alerts. */
const TYPES = {
	high_latency: ["A request was slow", milliseconds, (limit) => `above ${milliseconds(limit)}`],
	low_cache_hit_rate: ["Low cache hit ratio", percent, (limit) => `below ${percent(limit)}`],
	l2_breaker_open: ["L2: circuit open after repeated failures", (value) => `opened ${many(value, "time")}`, no],
	l3_breaker_open: ["L3: circuit open after repeated failures", (value) => `opened ${many(value, "time")}`, no],
	origin_breaker_open: ["Origin: circuit open after repeated failures", (value) => `opened ${many(value, "time")}`, no],
	origin_errors: ["Requests to the origin fail", percent, (limit) => `from ${percent(limit)}`],
	l2_write_budget: ["The daily write quota of L2 is exhausted", (value) => `${many(value, "row")} not written`, no],
	sla_violation: ["SLO violated", (value) => `${many(value, "target")} missed`, no],
	sla_burn_1h: ["The error budget burns fast (1 h)", times, (limit) => `from ${times(limit)}`],
	sla_burn_6h: ["The error budget burns fast (6 h)", times, (limit) => `from ${times(limit)}`],
	sla_burn_3d: ["The error budget burns fast (3 d)", times, (limit) => `from ${times(limit)}`],
};

const clock = (text) => new Date(text).toLocaleTimeString("en-GB");

function item({ type, status, severity, value, threshold, worst_value, worst_at, opened_at, resolved_at }) {
	const [title, words, limit] = TYPES[type] ?? [type.replaceAll("_", " "), count, (value) => `at ${count(value)}`];
	const isOpen = status === "open";
	const facts = [
		isOpen ? `now ${words(value)}` : `ended at ${words(value)}`,
		worst_value !== value && `worst ${words(worst_value)} at ${clock(worst_at)}`,
		limit(threshold) && `alerts ${limit(threshold)}`,
	];
	const span = isOpen ? `since ${clock(opened_at)}` : `${clock(opened_at)} to ${clock(resolved_at)}`;
	return el(
		"li",
		{},
		el("span.verdict", { "data-verdict": isOpen ? "missed" : "none" }, isOpen ? "open" : "resolved"),
		el("span", {}, title),
		el("span.caption.figure", {}, facts.filter(Boolean).join(" · ")),
		el("span.caption.figure", {}, `${severity} · ${span}`),
	);
}

/** The open alerts, and the latest resolved ones. */
export function alertList({ open, resolved }) {
	if (open.length + resolved.length === 0) return el("p.note", {}, "No alerts since this isolate started.");
	const list = el("ul.alerts", {}, ...[...open, ...resolved.slice(0, MAX_RESOLVED)].map(item));
	const why =
		"An alert stays open for a while after its cause is gone, so that a cause that comes and goes is one alert.";
	return el("div", {}, list, open.length > 0 && el("p.caption", {}, why));
}
