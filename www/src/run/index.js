// Runs scenarios, and shows the intermediate results.

import { ask, Cancelled, framework } from "../bench/client.js";
import { keep } from "../bench/history.js";
import { byId, el } from "../dom.js";
import { milliseconds } from "../headers.js";
import { machine } from "../machine.js";
import { summaryTable } from "../results/tables.js";
import { chosen, makeForm } from "./form.js";

export async function openRun() {
	const { scenarios } = await framework();
	const form = byId("run-form");
	makeForm(form, scenarios);
	const view = makeView();
	let running;

	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		if (running !== undefined) return;
		byId("run-hint").textContent = "";
		const { settings, ...choice } = await chosen(form, scenarios);
		if (choice.scenarios.length === 0) {
			byId("run-hint").textContent = "Choose at least one scenario.";
			return;
		}
		setRunning(true);
		try {
			await view.begin(choice);
			running = ask("run", { ...choice, environment: { ...machine(), settings } }, view.show);
			const run = await running;
			await keep(run);
			view.end(run);
		} catch (error) {
			view.stop(error instanceof Cancelled ? "Cancelled. Nothing was saved." : `The run failed: ${error.message}`);
		} finally {
			running = undefined;
			setRunning(false);
		}
	});
	byId("cancel").addEventListener("click", () => running?.cancel());
	form.dataset.state = "ready";
}

function setRunning(isRunning) {
	byId("start").disabled = isRunning;
	byId("cancel").hidden = !isRunning;
}

function makeView() {
	const state = byId("run-state");
	const bar = el("progress", { max: 1, value: 0, "aria-label": "Progress of the measurement" });
	const what = el("span.progress-what");
	const left = el("span.progress-left");
	const progress = el("div.progress", {}, el("div.progress-words", {}, what, left), bar);
	let charts;
	state.append(
		el(
			"p.empty",
			{},
			"No measurement yet. Start runs the original specification’s four scenarios on cold caches, five times each.",
		),
		expected(),
	);
	let choice;
	let startedAt;
	return {
		async begin(next) {
			choice = next;
			// Charts are loaded with the first run.
			charts ??= await makeCharts();
			startedAt = performance.now();
			what.textContent = "Starting";
			left.textContent = "";
			bar.value = 0;
			state.replaceChildren(progress);
			byId("run-outcome").replaceChildren();
			byId("run-view").scrollIntoView({ block: "nearest" });
			byId("run-announcement").textContent = "The measurement has started.";
		},
		show({ scenario, repeat, live }) {
			const { scenarios, repeats } = choice;
			const share = (repeat * scenarios.length + scenario + live.progress.share) / (repeats * scenarios.length);
			bar.value = share;
			what.textContent = `${scenarios[scenario].name}, repetition ${repeat + 1} of ${repeats}`;
			const elapsed = performance.now() - startedAt;
			// The first hundredth is no basis for an estimate.
			if (share > 0.01) left.textContent = `${duration((elapsed * (1 - share)) / share)} left`;
			if (live.timeline.length > 0) showCharts(charts, live);
		},
		end(run) {
			const { succeeded, failed, p99_ms } = run.overall;
			const words = `${succeeded} succeeded, ${failed} failed, p99 ${milliseconds(p99_ms)}`;
			const link = el("a", { href: `#results=${run.id}`, id: "see-results" }, "See the results");
			const took = duration(performance.now() - startedAt);
			state.replaceChildren(el("p.done", {}, el("strong", {}, "Measured"), ` in ${took}: ${words}. `, link));
			byId("run-outcome").replaceChildren(summaryTable(run));
			byId("run-announcement").textContent = `Measured: ${words}.`;
		},
		stop(words) {
			state.replaceChildren(el("p.callout", {}, words));
			byId("run-announcement").textContent = words;
		},
	};
}

/** The charts' descriptions before there is data. */
function expected() {
	const places = [
		["Latency over time", "The median, p95 and p99 of the requests’ latencies"],
		["Latencies", "The distribution of latencies"],
		["Responses by tier", "Memory, the store or the origin: the furthest tier of each response"],
		["Responses per second", "Failures excluded"],
	];
	const chart = ([title, words]) =>
		el("div.chart", {}, el("p.expected-title", {}, title), el("p.plot-area.plot-expected", {}, words));
	return el("div.charts.expected", {}, ...places.map(chart));
}

/** The charts, each with its update function. */
async function makeCharts() {
	const kit = await import("../charts.js");
	const percentiles = kit.percentileChart();
	const histogram = kit.histogramChart();
	const tiers = kit.tierChart();
	const throughput = kit.throughputChart();
	byId("run-charts").append(...[percentiles, histogram, tiers, throughput].map(({ element }) => element));
	return { kit, percentiles, histogram, tiers, throughput };
}

function showCharts({ kit, ...charts }, { timeline, latencies, progress }) {
	byId("run-charts").hidden = false;
	const last = timeline.at(-1);
	const percentiles = `p50 ${milliseconds(last.p50_ms)}, p95 ${milliseconds(last.p95_ms)}, p99 ${milliseconds(last.p99_ms)}`;
	charts.percentiles.show(kit.percentileData(timeline), `${percentiles} at last.`);
	const [bars, key] = kit.histogramData([latencies]);
	charts.histogram.show(bars, `${progress.succeeded} latencies.`, key);
	const tiers = timeline.reduce((sums, { tiers }) => sums.map((sum, tier) => sum + tiers[tier]), [0, 0, 0, 0]);
	const [l1, l2, l3, origin] = tiers;
	charts.tiers.show(
		kit.tierData(timeline),
		`Responses by the furthest tier: L1 ${l1}, L2 ${l2}, L3 ${l3}, origin ${origin}, failed ${progress.failed}.`,
	);
	charts.throughput.show(kit.throughputData(timeline), `${Math.round(last.throughput)} responses per second at last.`);
}

function duration(millis) {
	const seconds = Math.max(1, Math.round(millis / 1000));
	return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
