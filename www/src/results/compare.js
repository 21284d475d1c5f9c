// A run against a baseline: what differs beyond the noise.

import { histogramChart, histogramData } from "../charts.js";
import { breakable, el } from "../dom.js";
import { compare } from "./data.js";
import { cardTable, identityOf, latency, many, NOTHING, orNothing, percent, rate, row, variantOf } from "./tables.js";

const FIGURES = {
	mean_ms: ["Mean", latency],
	median_ms: ["Median", latency],
	p95_ms: ["p95", latency],
	p99_ms: ["p99", latency],
	p999_ms: ["p99.9", latency],
	throughput: ["Throughput", orNothing(rate)],
	error_rate: ["Error rate", orNothing(percent)],
	hit_ratio: ["Hit ratio", orNothing(percent)],
};

const VERDICTS = {
	better: "▲ better",
	worse: "▼ worse",
	mixed: "◆ better and worse",
	noise: "within the noise",
	unknown: "too few repetitions",
};
/** The sentence over all scenarios. */
const SENTENCES = {
	better: "This run is better than the baseline, beyond the noise of the repetitions.",
	worse: "This run is worse than the baseline, beyond the noise of the repetitions.",
	mixed: "This run is better than the baseline in some figures, and worse in others.",
	noise: "This run and the baseline differ by no more than the noise of the repetitions.",
	unknown: "There is no verdict: three repetitions of both runs are needed to know their noise.",
};

const SIGNS = new Map([
	[-1, "−"],
	[1, "+"],
]);

/** A difference with its sign. */
const signed = (value, words) => `${SIGNS.get(Math.sign(value)) ?? ""}${words(Math.abs(value))}`;
const signedPercent = (value) => signed(value, (share) => `${Number((share * 100).toPrecision(3))} %`);
const verdictOf = (verdict) => el("span.verdict", { "data-verdict": verdict }, VERDICTS[verdict]);

/**
 * @param {any} baseline
 * @param {any} run
 * @param {(run: any) => string} titled
 * @param {import("../charts.js").Chart[]} charts receives the new charts
 */
export async function comparison(baseline, run, titled, charts) {
	const { scenarios, verdict } = await compare(baseline, run);
	const of = (run) => new Map(run.scenarios.map((measured) => [identityOf(measured), measured]));
	const sides = [of(baseline), of(run)];
	const alone = sides.map((side, index) => [...side].filter(([id]) => !sides[1 - index].has(id)).map(([, one]) => one));
	const others = scenarios.filter(({ is_same_scenario }) => !is_same_scenario);
	return [
		el(
			"p.sentence",
			{ "data-verdict": scenarios.length === 0 ? "unknown" : verdict },
			scenarios.length === 0 ? "These runs have no scenario in common." : SENTENCES[verdict],
		),
		others.length > 0 &&
			el("p.callout", {}, `Not the same load, so figures cannot be compared: ${others.map(named).join("; ")}.`),
		alone[0].length > 0 && el("p.caption", {}, `Only in the baseline: ${alone[0].map(measuredName).join("; ")}.`),
		alone[1].length > 0 && el("p.caption", {}, `Only in this run: ${alone[1].map(measuredName).join("; ")}.`),
		scenarios.length > 0 && overviewTable(scenarios),
		settingsTable(baseline, run, titled),
		...scenarios.map((scenario) => oneScenario(scenario, sides, charts)),
	].filter(Boolean);
}

const named = (scenario) => `${scenario.name}, ${variantOf(scenario)}`;
const measuredName = (measured) => `${measured.scenario.name}, ${variantOf(measured)}`;

/** The change of each scenario's most asked-for figures. */
function overviewTable(scenarios) {
	const shown = ["median_ms", "p95_ms", "p99_ms", "throughput", "hit_ratio"];
	const rows = scenarios.map(({ metrics, verdict, is_same_scenario, ...scenario }) =>
		row(scenario.name, [
			variantOf(scenario),
			is_same_scenario ? verdictOf(verdict) : el("span.verdict", {}, "not the same load"),
			...shown.map((wanted) => {
				const metric = metrics.find(({ name }) => name === wanted);
				if (metric === undefined || metric.change === null) return NOTHING;
				return el("span.change", { "data-verdict": metric.verdict }, signedPercent(metric.change));
			}),
		]),
	);
	const heads = ["Scenario", "Measured", "Verdict", ...shown.map((name) => FIGURES[name][0])];
	return cardTable("Verdicts and changes by scenario", heads, rows);
}

/** The settings of both runs side by side. */
function settingsTable(baseline, run, titled) {
	const of = ({ environment, product_version, started_at, targets }) =>
		new Map([
			["version", product_version],
			["target", environment.target],
			["host", environment.host],
			[
				"machine",
				`${environment.machine}, ${environment.cores > 0 ? many(environment.cores, "core") : "unknown cores"}`,
			],
			...environment.settings.map(({ name, value }) => [name, value]),
			...Object.entries(targets).map(([name, value]) => [`target ${name}`, String(value)]),
			["measured", new Date(started_at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })],
		]);
	const [left, right] = [of(baseline), of(run)];
	const names = [...new Set([...left.keys(), ...right.keys()])];
	const differing = names.filter((name) => name !== "measured" && left.get(name) !== right.get(name));
	const rows = names.map((name) => {
		const isOther = differing.includes(name);
		const cells = [left, right].map((side) =>
			el("span.setting", { "data-differs": isOther }, side.get(name) ?? NOTHING),
		);
		return row(name, [...cells, isOther ? el("strong", {}, "≠ differs") : ""]);
	});
	const said =
		differing.length === 0
			? "the same in both runs"
			: `${differing.join(", ")} ${differing.length === 1 ? "differs" : "differ"}`;
	return el(
		"details.more",
		{ open: differing.length > 0 },
		el("summary", {}, `Settings: ${said}`),
		cardTable("Settings of both runs", ["Setting", `Baseline: ${titled(baseline)}`, "This run", ""], rows),
	);
}

function oneScenario(scenario, [left, right], charts) {
	const { metrics, verdict } = scenario;
	const more = el(
		"details.more",
		{},
		el("summary", {}, ...breakable(scenario.name), `, ${variantOf(scenario)} `, verdictOf(verdict)),
		metricsTable(named(scenario), metrics),
	);
	// What nobody opens is not drawn.
	more.addEventListener(
		"toggle",
		() => {
			const chart = histogramChart(["Baseline", "This run"]);
			charts.push(chart);
			more.append(chart.element);
			const id = identityOf(scenario);
			const [bars, key] = histogramData([left, right].map((side) => side.get(id).summary.latencies));
			chart.show(bars, "The latencies of both runs over each other.", key);
		},
		{ once: true },
	);
	return more;
}

function metricsTable(name, metrics) {
	const rows = metrics.map(({ name, baseline, current, difference, change, interval, verdict }) => {
		const [title, words] = FIGURES[name];
		const relative = interval && baseline ? interval.map((end) => signedPercent(end / baseline)) : undefined;
		return row(title, [
			words(baseline),
			words(current),
			orNothing((value) => signed(value, words))(difference),
			orNothing(signedPercent)(change),
			relative === undefined ? NOTHING : `${relative[0]} to ${relative[1]}`,
			verdictOf(verdict),
		]);
	});
	return cardTable(
		`Differences of ${name}`,
		["Figure", "Baseline", "This run", "Difference", "Change", "95 % interval", "Verdict"],
		rows,
	);
}
