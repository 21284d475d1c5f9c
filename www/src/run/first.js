// The first measurement: one popular load through Featheredge and on its origin alone, in one sentence.

import { byId, el } from "../dom.js";
import { machine } from "../machine.js";
import { difference } from "./difference.js";
import { measure, offers, paced } from "./measurement.js";
import { figure, quantile } from "./words.js";

const ORIGIN_DELAY_MS = 10;
const SIDES = ["featheredge", "origin"];
const TARGET = { kind: "engine", l2: "none", delay_ms: ORIGIN_DELAY_MS };

const FIGURES = [
	["Median", ({ median_ms }) => figure.latency(median_ms)],
	["p99", ({ p99_ms }) => figure.latency(p99_ms)],
	["Responses per second", ({ throughput }) => figure.rate(throughput)],
	["Origin calls per 1,000 requests", ({ cost }) => figure.rate(cost?.origin_calls_per_thousand)],
	["Cost per million requests", ({ cost }) => figure.dollars(cost?.total_usd)],
];

/** The space between a number and its unit. */
const UNIT = /(\d) (?=%|[µm]?s\b)/g;

/** @param {(run: any) => Promise<string | undefined>} finish keeps a run, and gives its sentence */
export function openFirst(finish) {
	const start = byId("start");
	const bar = byId("first-progress");
	const sentence = byId("first-sentence");
	const more = byId("first-more");
	const invitation = sentence.textContent;
	const table = versus();
	const chart = difference([
		{ name: "Featheredge", colour: "l1" },
		{ name: "The origin alone", colour: "origin" },
	]);
	byId("first-figures").append(table.element);
	byId("first-chart").append(chart.element);
	const announce = (words) => {
		byId("first-announcement").textContent = words;
	};
	/** What is known of each side so far. */
	let sides = SIDES.map(() => ({ latencies: [] }));

	const drawing = paced(byId("first"), [
		({ share }) => {
			bar.value = share;
			table.show(sides);
		},
		() => chart.show(sides),
	]);

	const view = {
		cancel: byId("first-cancel"),
		begin() {
			sides = SIDES.map(() => ({ latencies: [] }));
			table.show(sides);
			chart.show(sides);
			byId("first").dataset.state = "measuring";
			start.textContent = "Measuring";
			bar.value = 0;
			bar.dataset.state = "measuring";
			more.replaceChildren();
			sentence.textContent = "Warming up: the caches fill as they would in a day of traffic.";
			announce("The measurement has started.");
		},
		show(event) {
			if (event.type === "scenario-started") {
				sentence.textContent =
					event.served_by === "origin"
						? "Now the same load on the origin alone."
						: "Measuring a popular load through Featheredge.";
			}
			if (event.type !== "progress" || event.live.progress.succeeded === 0) return;
			sides[event.index] = soFar(event.live);
			drawing.show(event);
		},
		async end(run) {
			drawing.clear();
			sides = SIDES.map((side) => run.scenarios.find(({ served_by }) => served_by === side).summary);
			const words = await finish(run);
			table.show(sides);
			chart.show(sides);
			settle(
				"measured",
				words?.replace(UNIT, "$1\u00a0").replace(/\.?$/, ".") ?? "Nothing was measured: see why in the results.",
			);
			more.replaceChildren(el("a", { href: `#results=${run.id}` }, "See the results"));
		},
		stop(words, error) {
			drawing.clear();
			if (error !== undefined) return settle("failed", `Not measured: ${words}`);
			settle("ready", invitation);
			announce(words);
		},
	};

	function settle(state, words) {
		byId("first").dataset.state = state;
		start.textContent = state === "measured" ? "Measure again" : "Start";
		bar.dataset.state = "idle";
		sentence.textContent = words;
		announce(words);
	}

	offers(start, () =>
		measure(
			"run",
			async () => ({
				suite: SUITE,
				target: TARGET,
				repeats: 1,
				environment: { ...machine(), settings: settings() },
			}),
			view,
		),
	);
}

/** The popular load on both sides. */
const SUITE = [{ scenario: "popular_load", caches: ["warm"], served_by: SIDES }];

const settings = () => [
	{ name: "l2", value: TARGET.l2 },
	{ name: "delay_ms", value: String(ORIGIN_DELAY_MS) },
];

/** The figures that are known while a side is measured. */
const soFar = ({ latencies, timeline, progress }) => ({
	latencies,
	median_ms: quantile(latencies, 0.5),
	p99_ms: quantile(latencies, 0.99),
	throughput: timeline.length > 0 ? progress.succeeded / (timeline.at(-1).at_ms / 1000) : undefined,
});

/** The two columns. */
function versus() {
	const cells = FIGURES.map(() => SIDES.map((_, side) => el("td.figure", { "data-side": SIDES[side] })));
	const rows = FIGURES.map(([name], row) => el("tr", {}, el("th", { scope: "row" }, name), ...cells[row]));
	const table = {
		element: el(
			"table.versus",
			{},
			el("caption.hidden", {}, "Featheredge and the same origin alone"),
			el(
				"thead",
				{},
				el(
					"tr",
					{},
					el("td"),
					el("th", { scope: "col" }, "Featheredge"),
					el("th", { scope: "col" }, "The same origin alone"),
				),
			),
			el("tbody", {}, ...rows),
		),
		/** @param {any[]} sides the summary of each, or what is known of it */
		show(sides) {
			for (const [row, [, words]] of FIGURES.entries())
				for (const [side, cell] of cells[row].entries()) cell.textContent = words(sides[side]);
		},
	};
	table.show(SIDES.map(() => ({})));
	return table;
}
