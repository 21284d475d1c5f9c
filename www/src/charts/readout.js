// The values under the pointer, the finger, or the keys: a crosshair with a small read-out.

import { el } from "../dom.js";

/**
 * @typedef {object} Reading
 * @property {number} x where the crosshair stands, in CSS pixels from the host's left edge
 * @property {string} title
 * @property {{ label: string, value: string, colour?: string, mark?: number }[]} lines
 */

/**
 * Makes a host read by pointer and by keyboard. Screen readers know it as a slider over the values.
 *
 * @param {HTMLElement} host
 * @param {object} source
 * @param {string} source.label
 * @param {() => number} source.count how many values there are
 * @param {(x: number, y: number) => number} source.nearest the value at a place of the host
 * @param {(index: number) => Reading} source.read
 * @param {(index: number | undefined) => void} [source.onPoint]
 */
export function makeReadout(host, { label, count, nearest, read, onPoint = () => {} }) {
	const box = el("div.readout", { hidden: true, "aria-hidden": "true" });
	let index;
	host.append(box);
	for (const [name, value] of Object.entries({
		tabindex: 0,
		role: "slider",
		"aria-label": `Values of ${label}`,
		"aria-valuemin": 0,
		"aria-valuemax": 0,
		"aria-valuenow": 0,
		"aria-valuetext": "No value chosen. Use the arrow keys.",
	})) {
		host.setAttribute(name, value);
	}

	function hide() {
		index = undefined;
		box.hidden = true;
		onPoint(undefined);
	}

	function point(wanted) {
		const last = count() - 1;
		if (last < 0) return hide();
		index = Math.max(0, Math.min(last, wanted));
		const { x, title, lines } = read(index);
		onPoint(index);
		host.setAttribute("aria-valuemax", last);
		host.setAttribute("aria-valuenow", index);
		host.setAttribute("aria-valuetext", `${title}: ${lines.map(({ label, value }) => `${label} ${value}`).join(", ")}`);
		const items = lines.map(({ label, value, colour, mark }) =>
			el("li", { "data-colour": colour, "data-mark": mark }, el("span", {}, label), el("span.figure", {}, value)),
		);
		box.replaceChildren(el("p", {}, title), el("ul.legend", {}, ...items));
		box.hidden = false;
		const isRight = x < host.clientWidth / 2;
		const room = host.clientWidth - box.offsetWidth;
		box.style.left = `${Math.max(0, Math.min(room, isRight ? x + 10 : x - 10 - box.offsetWidth))}px`;
	}

	const follow = (event) => {
		const { left, top } = host.getBoundingClientRect();
		point(nearest(event.clientX - left, event.clientY - top));
	};
	host.addEventListener("pointermove", follow);
	host.addEventListener("pointerdown", follow);
	// A finger that is lifted leaves its values to be read.
	host.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && hide());
	host.addEventListener("blur", hide);
	host.addEventListener("keydown", (event) => {
		const at = index ?? -1;
		const before = Math.max(0, (index ?? count()) - 1);
		const to = {
			ArrowRight: at + 1,
			ArrowUp: at + 1,
			ArrowLeft: before,
			ArrowDown: before,
			PageDown: at - 10,
			PageUp: at + 10,
			Home: 0,
			End: count() - 1,
		}[event.key];
		if (event.key === "Escape" && index !== undefined) {
			event.stopPropagation();
			hide();
		}
		if (to === undefined) return;
		event.preventDefault();
		point(to);
	});

	return {
		hide,
		/** Reads again what is shown, of new data. */
		refresh: () => index !== undefined && point(index),
	};
}
