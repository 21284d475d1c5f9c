// One measurement of the page at a time, whichever part of Run begins it.

import { ask, Cancelled } from "../bench/client.js";
import { byId } from "../dom.js";

/** How often what is measured is drawn, at most. */
const DRAW_MS = 250;

/** The buttons that begin a measurement. @type {Set<HTMLElement>} */
const starts = new Set();
let isMeasuring = false;

/** A running measurement is not lost by a slip. */
const keep = (event) => event.preventDefault();

function setMeasuring(value) {
	isMeasuring = value;
	// A disabled button would lose the focus.
	for (const start of starts) start.setAttribute("aria-disabled", String(value));
	byId("tab-run").toggleAttribute("data-running", value);
	(value ? addEventListener : removeEventListener)("beforeunload", keep);
}

/** @param {HTMLButtonElement} start a button that begins a measurement, unless one is running */
export function offers(start, begin) {
	starts.add(start);
	// Until now nothing would have heard its press.
	start.disabled = false;
	start.setAttribute("aria-disabled", String(isMeasuring));
	start.addEventListener("click", (event) => {
		event.preventDefault();
		if (!isMeasuring) begin();
	});
}

/**
 * Has the Web Worker measure, with *Cancel* offered meanwhile.
 *
 * @param {"run" | "findHighestRate"} task
 * @param {() => any} choose its options; may throw
 * @param {object} view
 * @param {HTMLElement} view.cancel the button
 * @param {(options: any) => void} view.begin
 * @param {(event: any) => void} view.show
 * @param {(result: any) => void} view.end
 * @param {(words: string, error?: Error) => void} view.stop
 */
export async function measure(task, choose, { cancel, begin, show, end, stop }) {
	if (isMeasuring) return;
	setMeasuring(true);
	let work;
	let isCancelled = false;
	const onCancel = () => {
		isCancelled = true;
		cancel.textContent = "Cancelling…";
		work?.cancel();
	};
	cancel.textContent = "Cancel";
	cancel.hidden = false;
	cancel.addEventListener("click", onCancel);
	try {
		const options = await choose();
		if (isCancelled) throw new Cancelled();
		await begin(options);
		work = ask(task, options, (event) => !isCancelled && show(event));
		if (isCancelled) work.cancel();
		await end(await work);
	} catch (error) {
		if (error instanceof Cancelled) stop("Cancelled. Nothing was saved.");
		else stop(error.message, error);
	} finally {
		cancel.removeEventListener("click", onCancel);
		const hadFocus = document.activeElement === cancel;
		cancel.hidden = true;
		setMeasuring(false);
		if (hadFocus) cancel.parentElement.querySelector("button").focus();
	}
}

/**
 * Draws the newest of what arrives, at most four times a second, and not while nobody sees it. Each part is
 * a task of its own, so that none is long.
 *
 * @param {HTMLElement} place
 * @param {((value: any) => void)[]} parts
 */
export function paced(place, parts) {
	let newest;
	let isDue = false;
	let drawnAt = Number.NEGATIVE_INFINITY;
	const next = () => new Promise((resolve) => setTimeout(resolve));
	const draw = async () => {
		if (newest !== undefined && !document.hidden && place.offsetParent !== null) {
			drawnAt = performance.now();
			const value = newest;
			newest = undefined;
			for (const part of parts) {
				part(value);
				await next();
			}
		}
		isDue = false;
	};
	return {
		show(value) {
			newest = value;
			if (isDue) return;
			isDue = true;
			setTimeout(draw, drawnAt + DRAW_MS - performance.now());
		},
		/** Forgets what is not drawn yet. */
		clear() {
			newest = undefined;
		},
	};
}
