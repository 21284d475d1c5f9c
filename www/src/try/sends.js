// The last requests as bars, which show the difference between a miss and a hit.

import { el } from "../dom.js";
import { milliseconds, stops } from "../headers.js";

const KEPT = 6;

export class Sends {
	#host;
	#all = [];
	#count = 0;

	/** @param {HTMLElement} host */
	constructor(host) {
		this.#host = host;
	}

	/** The last request, for an announcement. */
	get count() {
		return `Request ${this.#count}`;
	}

	get lastWords() {
		return this.#all[0]?.words ?? "";
	}

	/** @param {import("../exchange.js").Exchange} exchange */
	add({ endpoint, status, headers, elapsedMs, lines }) {
		this.#count += 1;
		const last = stops(headers, lines?.at(-1)?.text).at(-1);
		const isGood = status < 400;
		const isPartial = last?.outcome === "failed";
		const by = last ? `Served by ${last.tier.inText}` : "Served";
		const served = isPartial ? "Served in part: the origin failed" : by;
		const words = isGood ? (lines ? `${served}, as a stream` : served) : `Status ${status}`;
		this.#all.unshift({
			number: this.#count,
			endpoint,
			elapsedMs,
			words,
			tier: isGood && !isPartial ? (last?.tier.id ?? "none") : "failed",
		});
		this.#all.length = Math.min(this.#all.length, KEPT);
		this.#draw();
	}

	#draw() {
		const longest = Math.max(...this.#all.map(({ elapsedMs }) => elapsedMs));
		const rows = this.#all.map(({ number, endpoint, elapsedMs, words, tier }) => {
			const bar = el("span.bar", { "data-tier": tier, "aria-hidden": "true" });
			bar.style.setProperty("--share", elapsedMs / longest);
			return el(
				"li",
				{ title: endpoint },
				el("span.send-number", {}, `${number}`),
				el("span.track", {}, bar),
				el("span.send-time", {}, milliseconds(elapsedMs)),
				el("span.send-words", {}, words),
			);
		});
		this.#host.replaceChildren(
			el("h3", { id: "sends-title" }, "Requests"),
			el("ol.sends", { "aria-labelledby": "sends-title" }, ...rows),
		);
	}
}
