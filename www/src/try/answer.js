// Shows a response: a summary, its tiers, and three views.

import { byId, el } from "../dom.js";
import { bytes, explained, milliseconds, stops, TIERS, timings } from "../headers.js";
import { paint, unpaint } from "../highlight.js";
import { indent, member, numberOf, parse, textOf } from "../json.js";
import { needsToken, tokenButton } from "../token.js";
import { failureOf } from "./failure.js";
import { openLines } from "./lines.js";
import { NATIVE } from "./presets.js";
import { values } from "./values.js";

/** @typedef {import("../tabs.js").Tabs} Tabs */

/** The tiers that are always shown; others appear if the response used them. */
const ALWAYS_SHOWN = ["l1", "l2", "origin"];

let isIndented = true;

export function showNothing() {
	byId("answer").dataset.state = "empty";
	byId("summary").replaceChildren(el("p.empty", {}, "No request yet. Send the example, then send it again."));
	showPath([]);
}

/**
 * Shows a stream that has begun; returns what shows a line of it.
 *
 * @param {Tabs} tabs
 */
export function showStream(tabs) {
	byId("answer").dataset.state = "succeeded";
	byId("failure").replaceChildren();
	byId("views").hidden = false;
	const onLine = openLines();
	tabs.offer("tab-lines", true);
	// Those of an earlier response; they come back with the whole of this one.
	for (const id of ["tab-values", "tab-json", "tab-headers"]) tabs.offer(id, false);
	tabs.choose("tab-lines");
	return onLine;
}

/**
 * @param {string} message
 * @param {boolean} hasLines of a stream that broke off; they stay
 */
export function showFailure(message, hasLines) {
	byId("answer").dataset.state = "failed";
	byId("summary").replaceChildren();
	byId("views").hidden = !hasLines;
	showPath([]);
	byId("failure").replaceChildren(callout(hasLines ? "The response is incomplete" : "No response", [message]));
}

/**
 * @param {import("../exchange.js").Exchange} exchange
 * @param {Tabs} tabs
 */
export function showAnswer(exchange, tabs) {
	const isGood = exchange.status < 400;
	const root = parsed(exchange.text);
	byId("answer").dataset.state = isGood ? "succeeded" : "failed";
	byId("summary").replaceChildren(summary(exchange, root));
	showPath(stops(exchange.headers, exchange.lines?.at(-1)?.text));
	const failure = isGood ? undefined : failureOf(exchange);
	byId("failure").replaceChildren(
		...(failure ? [callout(failure.title, failure.lines, needsToken(exchange.status) && tokenButton())] : []),
	);
	byId("view-values").replaceChildren(isGood ? values(exchange, root) : "");
	showJson(exchange.text, root !== undefined);
	byId("view-headers").replaceChildren(headerList(exchange.headers));
	tabs.offer("tab-lines", exchange.lines !== undefined);
	tabs.offer("tab-values", isGood);
	for (const id of ["tab-json", "tab-headers"]) tabs.offer(id, true);
	byId("views").hidden = false;
}

function parsed(text) {
	try {
		return parse(text);
	} catch {
		return undefined;
	}
}

function callout(title, lines, remedy) {
	return el(
		"div.callout",
		{ role: "group", "aria-label": "Error" },
		el("p.callout-title", {}, title),
		...lines.map((line) => el("p", {}, line)),
		remedy,
	);
}

function summary({ endpoint, status, statusText, headers, text, size, elapsedMs, lines }, root) {
	const last = lines?.at(-1)?.text;
	const [source, end] = last === undefined ? [text, root] : [last, parsed(last)];
	// The headers of a stream are sent before its time is known.
	const total = last === undefined ? timings(headers).get("total") : numberOf(source, member(end, "latency_ms"));
	const facts = [
		["Status", `${status} ${statusText}`.trim()],
		["In the Worker", total === undefined ? undefined : milliseconds(total)],
		["First line", lines?.length > 0 ? milliseconds(lines[0].atMs) : undefined],
		["Size", bytes(size)],
		["Rows", endpoint === NATIVE ? rowCounts(source, member(end, "cache_stats")) : undefined],
	];
	const [value, unit] = milliseconds(elapsedMs).split(" ");
	return el(
		"div.summary",
		{},
		el("p.latency", {}, el("span.latency-value", {}, value), ` ${unit}`, el("span.caption", {}, "in this browser")),
		el(
			"dl.facts",
			{},
			...facts.flatMap(([name, fact]) =>
				fact
					? [el("div", {}, el("dt", {}, name), el(name === "Status" && status >= 400 ? "dd.failed" : "dd", {}, fact))]
					: [],
			),
		),
	);
}

/** The number of rows by tier: `2 from L1`. */
function rowCounts(text, stats) {
	if (stats === undefined) return undefined;
	const count = (name) => Number(member(stats, name) ? textOf(text, member(stats, name)) : 0);
	const l1 = count("l1_hits");
	const l2 = count("l2_hits");
	const l3 = count("l3_hits");
	const parts = [
		[l1, "from L1"],
		[l2, "from L2"],
		[l3, "from L3"],
		[count("l1_misses") - l2 - l3, "from the origin"],
	];
	return (
		parts
			.filter(([number]) => number > 0)
			.map(([number, words]) => `${number} ${words}`)
			.join(", ") || "none"
	);
}

function showPath(passed) {
	// A request that was refused used no tier.
	byId("path").hidden = passed.length === 0 && byId("answer").dataset.state === "failed";
	const shown = TIERS.filter(({ id }) => ALWAYS_SHOWN.includes(id) || passed.some(({ tier }) => tier.id === id));
	byId("path").replaceChildren(
		...shown.map((tier) => {
			const stop = passed.find((candidate) => candidate.tier === tier);
			const outcome = stop?.outcome ?? (passed.length > 0 ? "skipped" : "idle");
			return el(
				"li",
				{ "data-tier": tier.id, "data-outcome": outcome },
				el("span.node", { "aria-hidden": "true" }),
				el("span.stop-name", {}, tier.label),
				el("span.stop-words", {}, stop ? OUTCOMES[stop.outcome] : outcome === "skipped" ? "skipped" : tier.place),
				stop?.durationMs !== undefined && el("span.stop-time", {}, milliseconds(stop.durationMs)),
			);
		}),
	);
}

const OUTCOMES = { hit: "hit", partial: "partial hit", miss: "miss", computed: "computed", failed: "failed" };

function showJson(text, isJson) {
	const view = byId("view-json");
	const old = view.querySelector("code");
	if (old) unpaint(old);
	const code = el("code");
	const draw = () => (isJson ? paint(code, isIndented ? indent(text) : text) : code.replaceChildren(text));
	const toggle = el("input", {
		type: "checkbox",
		id: "indent",
		checked: isIndented,
		onchange: (event) => {
			isIndented = event.target.checked;
			draw();
		},
	});
	draw();
	view.replaceChildren(
		...(isJson
			? [
					el(
						"p.json-tools",
						{},
						toggle,
						el("label", { for: "indent" }, "Indent"),
						el("span.caption", {}, "Values are shown exactly as they were sent."),
					),
				]
			: []),
		text === ""
			? el("p.note", {}, "The body is empty.")
			: el("pre.json", { tabindex: 0, role: "region", "aria-label": "Response body" }, code),
	);
}

function headerList(headers) {
	return el(
		"dl.headers",
		{},
		...explained(headers).map(({ name, value, words }) =>
			el(
				"div",
				{},
				el("dt", {}, HEADER_NAMES[name] ?? name),
				value && el("dd.header-value", {}, value),
				el("dd", {}, words),
			),
		),
	);
}

const HEADER_NAMES = { "cache-status": "Cache-Status", age: "Age", "server-timing": "Server-Timing" };
