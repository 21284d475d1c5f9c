// A run's load and memory over time, as an SVG for the documentation. Its colours follow the reader's scheme.

const WIDTH = 900;
const LEFT = 60;
const RIGHT = 120;
const PANEL = 150;
const GAP = 45;
const TOP = 30;

const STYLE = `text{font:12px system-ui,sans-serif;fill:#57606a}.title{font-weight:600;fill:#24292f}.axis{stroke:#d0d7de}
.a{stroke:#0969da}.b{stroke:#cf222e}.c{stroke:#8250df}.line{fill:none;stroke-width:1.5}.at{fill:#afb8c133}
.la{fill:#0969da}.lb{fill:#cf222e}.lc{fill:#8250df}
@media(prefers-color-scheme:dark){text{fill:#9198a1}.title{fill:#f0f6fc}.axis{stroke:#3d444d}
.a{stroke:#4493f8}.b{stroke:#f85149}.c{stroke:#ab7df8}.la{fill:#4493f8}.lb{fill:#f85149}.lc{fill:#ab7df8}}`;

/** A round number that is no less than another. */
function roundUp(value) {
	const magnitude = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
	return [1, 1.5, 2, 3, 5, 7.5, 10].find((step) => step * magnitude >= value) * magnitude;
}

/** A panel: lines of points, in seconds and in the panel's unit. */
function panel({ title, lines }, top, end, overload) {
	const most = roundUp(Math.max(...lines.flatMap(({ points }) => points.map(([, value]) => value))));
	const x = (second) => (LEFT + (second / end) * (WIDTH - LEFT - RIGHT)).toFixed(1);
	const y = (value) => (top + PANEL - (value / most) * PANEL).toFixed(1);
	const ticks = [0, 0.5, 1].map((share) => {
		const value = share * most;
		const at = y(value);
		return `<path class="axis" d="M${LEFT} ${at}H${WIDTH - RIGHT}"/><text x="${LEFT - 8}" y="${Number(at) + 4}" text-anchor="end">${value.toLocaleString("en")}</text>`;
	});
	const drawn = lines.map(({ name, kind, points }, at) => {
		const path = points.map(([second, value]) => `${x(second)} ${y(value)}`).join("L");
		const label = `<text class="l${kind}" x="${WIDTH - RIGHT + 8}" y="${top + 12 + at * 16}">${name}</text>`;
		return `<path class="line ${kind}" d="M${path}"/>${label}`;
	});
	const shade = `<rect class="at" x="${x(overload[0])}" y="${top}" width="${(x(overload[1]) - x(overload[0])).toFixed(1)}" height="${PANEL}"/>`;
	return `<text class="title" x="${LEFT}" y="${top - 10}">${title}</text>${shade}${ticks.join("")}${drawn.join("")}`;
}

/** @param {Awaited<ReturnType<import("./overload.mjs").measureLoad>>} run */
export function plotLoad({ phases, memory }) {
	const seconds = phases.flatMap(({ from, seconds }) =>
		seconds.map((second, number) => ({ at: from + number, ...second })),
	);
	const end = Math.max(...seconds.map(({ at }) => at), ...memory.map(({ second }) => second));
	const [, { from, seconds: during }] = phases;
	const overload = [from, from + during.length];
	const of = (value) => seconds.map((second) => [second.at, value(second)]);
	const megabytes = (figure) =>
		memory
			.filter((sample) => sample[figure] !== undefined)
			.map((sample) => [sample.second, sample[figure] / 1_048_576]);
	const panels = [
		{
			title: "Requests a second",
			lines: [
				{ name: "served", kind: "a", points: of(({ served }) => served) },
				{ name: "shed (503)", kind: "b", points: of(({ shed }) => shed) },
			],
		},
		{
			title: "Latency of what was admitted, ms",
			lines: [
				{ name: "p50", kind: "a", points: of(({ p50 }) => p50) },
				{ name: "p99", kind: "c", points: of(({ p99 }) => p99) },
			],
		},
		{
			title: "Memory, MB",
			lines: [
				{ name: "process, resident", kind: "a", points: megabytes("resident_bytes") },
				{ name: "wasm", kind: "c", points: megabytes("wasm_bytes") },
			].filter(({ points }) => points.length > 0),
		},
	];
	const height = TOP + panels.length * (PANEL + GAP);
	const bodies = panels.map((each, at) => panel(each, TOP + at * (PANEL + GAP), end, overload));
	const axis = [0, 0.25, 0.5, 0.75, 1].map((share) => {
		const at = LEFT + share * (WIDTH - LEFT - RIGHT);
		return `<text x="${at}" y="${height - 20}" text-anchor="middle">${Math.round(share * end)} s</text>`;
	});
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Requests, latency and memory over time; what is shaded was past the maximum"><style>${STYLE}</style>${bodies.join("")}${axis.join("")}</svg>\n`;
}
