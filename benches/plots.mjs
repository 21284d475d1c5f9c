// Draws what `npm run bench -- --only growth` and `npm run scale` measured, as SVG.

import * as echarts from "echarts";

const SIZE = { width: 760, height: 420 };
const FONT = "Helvetica, Arial, sans-serif";
/** Blue, orange, green, grey: told apart by those too who see few colours (Okabe and Ito). */
const COLORS = ["#0072b2", "#e69f00", "#009e73", "#999999"];
const INK = "#333333";

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const power = (number) => `10${SUPERSCRIPTS[Math.round(Math.log10(number))]}`;

/** @returns {string} the chart as SVG */
function draw({ title, x, y, categories, series, max }) {
	const chart = echarts.init(null, null, { renderer: "svg", ssr: true, ...SIZE });
	const text = { color: INK, fontFamily: FONT };
	chart.setOption({
		animation: false,
		backgroundColor: "#ffffff",
		color: COLORS,
		title: { text: title, left: "center", top: 8, textStyle: { ...text, fontSize: 15 } },
		legend: { bottom: 8, itemGap: 20, textStyle: text, data: [...new Set(series.map(({ name }) => name))] },
		// Room for two lines of the legend.
		grid: { left: 72, right: 24, top: 52, bottom: 104 },
		xAxis: {
			type: "category",
			data: categories,
			name: x,
			nameLocation: "middle",
			nameGap: 28,
			axisLabel: text,
			nameTextStyle: text,
		},
		yAxis: {
			type: "value",
			name: y,
			nameLocation: "middle",
			nameGap: 48,
			min: 0,
			max,
			axisLabel: text,
			nameTextStyle: text,
		},
		series,
	});
	const svg = chart.renderToSVGString();
	chart.dispose();
	return `${svg}\n`;
}

const line = (name, data, style = {}) => ({
	type: "line",
	name,
	data,
	symbolSize: 7,
	lineStyle: { width: 2 },
	...style,
});

/** A level that nothing is to pass. */
const bound = (name, value, count) =>
	line(name, Array(count).fill(value), { symbol: "none", color: COLORS[3], lineStyle: { type: "dashed", width: 1 } });

/** What a value costs, beside the smallest request or the fewest rows; from the rows of `npm run bench -- --only growth`. */
function growthPlots(rows) {
	const plots = {};
	for (const [file, kind, title, x] of [
		["growth-request", "values a request", "What a value costs as requests grow", "values in a request"],
		["growth-rows", "rows in L1", "What a value costs as L1 grows", "rows in L1"],
	]) {
		const found = rows.filter(({ name }) => name.startsWith("growth, ") && name.endsWith(kind));
		if (found.length === 0) continue;
		const sizes = found.map(({ name }) => name.split(" ")[1]);
		const categories = [found[0].peer_name, ...sizes].map((size) => power(10 ** Number(size.split("^")[1])));
		const smallest = found[0].peer;
		const costs = [smallest, ...found.map(({ ours }) => ours)].map((cost) => Number(cost.toFixed(2)));
		plots[file] = draw({
			title,
			x,
			y: "nanoseconds a value",
			categories,
			series: [
				line("a value's cost", costs),
				bound("a fifth above the smallest", Number((smallest / found[0].goal).toFixed(2)), categories.length),
			],
		});
	}
	return plots;
}

const KINDS = { direct: "origin alone", l1_alone: "L1 alone", tiers: "L1 and KV" };

/** The four plots of docs/internals/scale.md; from what `npm run scale` writes. */
function scalePlots({ rows }) {
	const rates = [...new Set(rows.map(({ rate }) => rate))];
	const categories = rates.map(power);
	const x = "requests per second";
	const of = (kind, figure) =>
		rates.map((rate) => {
			const value = figure(rows.find((row) => row.kind === kind && row.rate === rate));
			return Number(value.toPrecision(4));
		});
	const percent = (figure) => (row) => row[figure] * 100;
	const stacked = (stack, name, kind, figure, color, style = {}) => ({
		type: "bar",
		stack,
		name,
		color,
		data: of(kind, figure),
		itemStyle: style,
	});
	const rest = (row) => Math.max(0, 100 - (row.l1 + row.l2) * 100);
	const faint = { opacity: 0.45 };
	return {
		"scale-hits": draw({
			title: "Which tier serves requests: L1 and KV left, L1 alone right",
			x,
			y: "percent of requests",
			max: 100,
			categories,
			series: [
				stacked("tiers", "L1", "tiers", percent("l1"), COLORS[0]),
				stacked("tiers", "L2 (KV)", "tiers", percent("l2"), COLORS[2]),
				stacked("tiers", "the origin", "tiers", rest, COLORS[1]),
				stacked("alone", "L1", "l1_alone", percent("l1"), COLORS[0], faint),
				stacked("alone", "the origin", "l1_alone", rest, COLORS[1], faint),
			],
		}),
		"scale-offload": draw({
			title: "Requests without an origin call, revalidations included",
			x,
			y: "percent of requests",
			max: 100,
			categories,
			series: ["tiers", "l1_alone", "direct"].map((kind) => line(KINDS[kind], of(kind, percent("offload")))),
		}),
		"scale-staleness": draw({
			title: "Age of served values",
			x,
			y: "seconds since the origin read it",
			categories,
			series: ["tiers", "l1_alone"].flatMap((kind, at) =>
				[
					["median", "age_p50", "solid"],
					["p99", "age_p99", "dashed"],
					["oldest", "age_max", "dotted"],
				].map(([name, figure, type]) =>
					line(
						`${name}, ${KINDS[kind]}`,
						of(kind, (row) => row[figure]),
						{ color: COLORS[at], lineStyle: { type, width: 2 } },
					),
				),
			),
		}),
		"scale-cost": draw({
			title: "Cost of a million requests at the default prices",
			x,
			y: "US dollars",
			categories,
			series: ["tiers", "l1_alone", "direct"].map((kind) =>
				line(
					KINDS[kind],
					of(kind, (row) => row.dollars_per_million),
				),
			),
		}),
	};
}

/**
 * @param {object} measured what `npm run bench` or `npm run scale` has written
 * @returns {Record<string, string>} SVG by the names of files
 */
export function plotsOf(measured) {
	return Array.isArray(measured) ? growthPlots(measured) : scalePlots(measured);
}
