// The comparison of two runs: differences beyond the noise.

import { ask } from "../bench/client.js";
import { histogramChart, histogramData } from "../charts.js";
import { el } from "../dom.js";
import { milliseconds } from "../headers.js";
import { percent, rate, row, tableOf } from "./tables.js";

const FIGURES = {
	mean_ms: ["Mean", milliseconds],
	median_ms: ["Median", milliseconds],
	p95_ms: ["p95", milliseconds],
	p99_ms: ["p99", milliseconds],
	p999_ms: ["p99.9", milliseconds],
	throughput: ["Throughput", rate],
	error_rate: ["Error rate", percent],
	hit_ratio: ["Hit ratio", percent],
};

const VERDICTS = {
	better: "better",
	worse: "worse",
	noise: "within the noise",
	unknown: "too few repetitions",
};

/** A difference with its sign. */
const signed = (value, words) => `${value < 0 ? "−" : "+"}${words(Math.abs(value))}`;

/**
 * @param {any} left
 * @param {any} right
 * @param {import("../charts.js").Chart[]} charts receives the new charts
 */
export async function comparison(left, right, charts) {
	const compared = await ask("compare", { left, right });
	if (compared.length === 0) return el("p.note", {}, "These runs have no scenario in common.");
	const find = (run, name) => run.scenarios.find(({ scenario }) => scenario.name === name).summary;
	return el(
		"div.compared",
		{},
		...compared.map(({ name, is_same_scenario, metrics }) => {
			const chart = histogramChart(["This run", "Other run"]);
			charts.push(chart);
			queueMicrotask(() => {
				const [bars, key] = histogramData([find(left, name).latencies, find(right, name).latencies]);
				chart.show(bars, "The latencies of both runs over each other.", key);
			});
			const title = `compared-${name}`;
			return el(
				"section.panel",
				{ "aria-labelledby": title },
				el("h3", { id: title }, name),
				!is_same_scenario && el("p.callout", {}, "The runs measured different scenarios of this name."),
				el("div.beside", {}, metricsTable(name, metrics), chart.element),
			);
		}),
	);
}

function metricsTable(name, metrics) {
	const rows = metrics.map(({ name, left, right, difference, interval, verdict }) => {
		const [title, words] = FIGURES[name];
		const range = interval ? `${signed(interval[0], words)} to ${signed(interval[1], words)}` : "";
		return row(title, [
			words(left),
			words(right),
			el("span.verdict", { "data-verdict": verdict }, VERDICTS[verdict]),
			signed(difference, words),
			range,
		]);
	});
	return tableOf(
		`Differences of ${name}`,
		["Figure", "This run", "Other run", "Result", "Difference", "95 % interval"],
		rows,
	);
}
