// An animation of the tiers in a line, with rows as dots that move from the client to the tier that serves
// them.

import { el } from "../dom.js";
import { percent } from "../results/tables.js";

const STATIONS = [
	["l1", "L1", " memory"],
	["l2", "L2", " store"],
	["l3", "L3", " storage"],
	["origin", "Origin", ""],
];

/** The most dots for one tier at a time. */
const MAX_DOTS = 12;
/**
 * The time of a dot from one tier to the next, and the interval over which the dots of one refresh are
 * spread, in milliseconds.
 */
const TRAVEL_MS = 450;
const SPREAD_MS = 1_700;

const reducesMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** A rate per second, short enough for a phone. */
const perSecond = (value) =>
	`${Number(value.toPrecision(value < 1 ? 1 : value < 1000 ? 2 : 3)).toLocaleString("en-GB")}/s`;

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
	const element = el("ol.flow", { "aria-label": "Rows per second by tier" }, ...stations.map(({ element }) => element));

	/** Moves dots from the client to the tier that served the rows. */
	function travel(id, rows) {
		const distance = tiers.get(id).element.offsetLeft - client.element.offsetLeft;
		const hops = STATIONS.findIndex(([name]) => name === id) + 1;
		const dots = Math.min(MAX_DOTS, rows);
		for (let number = 0; number < dots; number++) {
			const dot = el("span.dot", { "aria-hidden": "true", "data-tier": id });
			client.element.append(dot);
			const animation = dot.animate([{ transform: "none" }, { transform: `translateX(${distance}px)` }], {
				duration: TRAVEL_MS * hops,
				delay: (number / dots) * SPREAD_MS,
				fill: "both",
				easing: "ease-in-out",
			});
			animation.finished.finally(() => dot.remove());
		}
	}

	return {
		element,
		/**
		 * @param {Record<string, { hits: number, misses: number, hit_ratio: number, breaker_open: number }>} reported by tier
		 * @param {(id: string) => boolean} isUsed whether a tier is configured
		 * @param {{ seconds: number, requests: number, rows: Record<string, number> } | undefined} more the difference since the last refresh
		 */
		show(reported, isUsed, more) {
			client.rate.textContent = more ? perSecond(more.requests / more.seconds) : "–";
			client.state.replaceChildren(el("span.where-wide", {}, "requests"));
			for (const [id, { element, rate, state }] of tiers) {
				const { hits, misses, hit_ratio, breaker_open } = reported[id];
				element.dataset.state = isUsed(id) ? (breaker_open > 0 ? "open" : "used") : "absent";
				rate.textContent = isUsed(id) ? (more ? perSecond(more.rows[id] / more.seconds) : "–") : "off";
				const hitRatio = hits + misses > 0 ? [percent(hit_ratio), el("span.where-wide", {}, " hit")] : [];
				state.replaceChildren(...(breaker_open > 0 ? ["circuit open"] : hitRatio));
				if (more?.rows[id] > 0 && !reducesMotion.matches) travel(id, more.rows[id]);
			}
		},
	};
}
