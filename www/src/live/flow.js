// The tiers as stations of a line, along which rows are seen to travel to the one that has them.

import { el } from "../dom.js";
import { percent } from "../results/tables.js";

const STATIONS = [
	["l1", "L1", " memory"],
	["l2", "L2", " store"],
	["l3", "L3", " storage"],
	["origin", "Origin", ""],
];

/** Dots at one time for one tier: enough to be seen as many, and few enough to be counted as few. */
const MOST_DOTS = 12;
/** How long a dot travels from one station to the next, and over how long those of one look are spread, in milliseconds. */
const TRAVEL_MS = 450;
const SPREAD_MS = 1_700;

const isStill = matchMedia("(prefers-reduced-motion: reduce)");

/** Something in each second, short enough for a station on a phone. */
const perSecond = (value) => `${Number(value.toPrecision(value < 1000 ? 2 : 3)).toLocaleString("en-GB")}/s`;

function station(id, name, more) {
	const rate = el("span.figure.station-rate");
	const state = el("span.station-state.figure");
	return { element: el("li", { "data-tier": id }, el("strong", {}, name, more), rate, state), rate, state };
}

export function makeFlow() {
	const client = station("client", "Client");
	const tiers = new Map(
		STATIONS.map(([id, name, more]) => [id, station(id, name, more && el("span.where-wide", {}, more))]),
	);
	const stations = [client, ...tiers.values()];
	const element = el(
		"ol.flow",
		{ "aria-label": "Rows in each second, by the tier that had them" },
		...stations.map(({ element }) => element),
	);

	/** Sends dots from the client to the tier that had the rows, past those that had not. */
	function travel(id, rows) {
		const way = tiers.get(id).element.offsetLeft - client.element.offsetLeft;
		const hops = STATIONS.findIndex(([name]) => name === id) + 1;
		const dots = Math.min(MOST_DOTS, rows);
		for (let number = 0; number < dots; number++) {
			const dot = el("span.dot", { "aria-hidden": "true", "data-tier": id });
			client.element.append(dot);
			const journey = dot.animate([{ transform: "none" }, { transform: `translateX(${way}px)` }], {
				duration: TRAVEL_MS * hops,
				delay: (number / dots) * SPREAD_MS,
				fill: "both",
				easing: "ease-in-out",
			});
			journey.finished.finally(() => dot.remove());
		}
	}

	return {
		element,
		/**
		 * @param {Record<string, { hits: number, misses: number, hit_ratio: number, breaker_open: number }>} reported by tier
		 * @param {(id: string) => boolean} isUsed whether a tier is configured
		 * @param {{ seconds: number, requests: number, rows: Record<string, number> } | undefined} more what came since the last look
		 */
		show(reported, isUsed, more) {
			client.rate.textContent = more ? perSecond(more.requests / more.seconds) : "–";
			client.state.replaceChildren(el("span.where-wide", {}, "requests"));
			for (const [id, { element, rate, state }] of tiers) {
				const { hits, misses, hit_ratio, breaker_open } = reported[id];
				element.dataset.state = isUsed(id) ? (breaker_open > 0 ? "alone" : "used") : "absent";
				rate.textContent = isUsed(id) ? (more ? perSecond(more.rows[id] / more.seconds) : "–") : "off";
				const had = hits + misses > 0 ? [percent(hit_ratio), el("span.where-wide", {}, " hit")] : [];
				state.replaceChildren(...(breaker_open > 0 ? ["left alone"] : had));
				if (more?.rows[id] > 0 && !isStill.matches) travel(id, more.rows[id]);
			}
		},
	};
}
