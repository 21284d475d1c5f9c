// *Set up a measurement*: the form, how far its measurement is, and what came of it.

import { framework } from "../../bench/client.js";
import { byId, el } from "../../dom.js";
import { markBenchmark } from "../../live/marks.js";
import { machine } from "../../machine.js";
import { tokenButton } from "../../token.js";
import { cards } from "../cards.js";
import { measure, offers, paced } from "../measurement.js";
import { progressView } from "../progress.js";
import { verdict } from "../standard.js";
import { ChoiceError, chosen } from "./choices.js";
import { makeFields } from "./fields.js";
import { found, stepTable } from "./rates.js";
import { keep, link, open, restore } from "./saved.js";

/** @param {(run: any) => Promise<unknown>} finish keeps a run */
export async function openSetup(finish) {
	const { scenarios } = await framework();
	const form = byId("run-form");
	const follow = makeFields(form, scenarios);
	const start = el("button.primary", { type: "submit" }, "Measure");
	const cancel = el("button.quiet", { type: "button", hidden: true }, "Cancel");
	const copied = el("span.caption", { role: "status" });
	const fault = el("p.hint", { role: "alert" });
	const copy = el("button.quiet", { type: "button", onclick: () => share() }, "Copy link to this set-up");
	const reset = el("button.quiet", { type: "reset" }, "Reset");
	form.append(el("div.actions", {}, start, cancel, copy, reset, copied), fault);
	restore(form);
	follow();

	form.addEventListener("change", () => {
		copied.textContent = "";
		keep(form);
	});
	form.addEventListener("reset", () =>
		// The form is reset after its event.
		queueMicrotask(() => {
			follow();
			keep(form);
		}),
	);

	async function share() {
		const address = link(form);
		const isCopied = await navigator.clipboard.writeText(address).then(
			() => true,
			() => false,
		);
		history.replaceState(null, "", address);
		copied.textContent = isCopied ? "Copied, without tokens." : "The link is in the address bar.";
	}

	const view = await makeView(cancel, finish, complain);

	/** Says what is wrong, at the field if there is one. */
	function complain(error) {
		const control = error.field === undefined ? fieldOf(form, error.code) : form.elements.namedItem(error.field);
		const place = TARGET_FAULTS.has(error.code) ? byId("target-fault") : fault;
		place.textContent = error.message;
		const isOfToken = error.code === "unauthorized" || error.code === "forbidden";
		if (isOfToken && new FormData(form).get("target") === "deployment") place.append(" ", tokenButton());
		if (control instanceof HTMLElement && !control.disabled) {
			control.setAttribute("aria-invalid", "true");
			control.focus();
		} else place.scrollIntoView({ block: "nearest" });
	}

	function forgive() {
		fault.textContent = "";
		byId("target-fault").textContent = "";
		for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
	}

	offers(start, async () => {
		forgive();
		if (!form.reportValidity()) return;
		try {
			const { task, options } = await chosen(form, scenarios);
			const { settings, ...rest } = options;
			const startedAt = Date.now();
			const isHere = rest.target.url === location.origin;
			if (isHere) markBenchmark(startedAt);
			await measure(task, () => ({ ...rest, environment: { ...machine(), settings } }), view.of(task));
			if (isHere) markBenchmark(startedAt, Date.now());
		} catch (error) {
			if (!(error instanceof ChoiceError)) throw error;
			complain(error);
		}
	});
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		start.click();
	});
	form.dataset.state = "ready";

	return {
		/** Fills the form from a link. Nothing starts by itself. */
		fill(text) {
			const why = open(form, text);
			follow();
			if (why === undefined) forgive();
			else complain(new Error(why));
		},
	};
}

/** The codes of a target that cannot be measured. */
const TARGET_FAULTS = new Set(["unreachable", "unauthorized", "forbidden", "not-featheredge", "invalid-url", "failed"]);

function fieldOf(form, code) {
	if (code === "unauthorized" || code === "forbidden") return form.elements.namedItem("url_token");
	return TARGET_FAULTS.has(code) ? form.elements.namedItem("url") : undefined;
}

async function makeView(cancel, finish, complain) {
	const host = byId("run-state");
	const charts = byId("run-charts");
	const outcome = byId("run-outcome");
	const progress = progressView("run-announcement");
	let drawing;
	let targets;
	/** What the charts show. */
	let of = "";
	const draw = (event) => drawing.show({ ...event, targets, of });
	const shared = {
		cancel,
		async begin(options) {
			if (drawing === undefined) {
				const { makeCharts } = await import("./charts.js");
				drawing = paced(byId("run-view"), [progress.show, ...makeCharts(charts)]);
			}
			({ targets } = options);
			progress.begin(options);
			host.replaceChildren(progress.element);
			outcome.replaceChildren();
			charts.hidden = true;
			byId("run-view").scrollIntoView({ block: "nearest" });
		},
		stop(words, error) {
			drawing?.clear();
			if (error === undefined) return progress.stop(words, false);
			const isOfTarget = TARGET_FAULTS.has(error.code);
			progress.stop(isOfTarget ? "Not measured: see the target." : `Not measured: ${words}`, true);
			if (isOfTarget) complain(error);
		},
	};
	const views = {
		run: {
			...shared,
			show(event) {
				if (event.type === "scenario-started") of = progress.started(event);
				if (event.type === "progress") draw(event);
			},
			async end(run) {
				drawing.clear();
				await finish(run);
				progress.end(verdict(run), el("a", { href: `#results=${run.id}` }, "See the results"));
				outcome.replaceChildren(cards(run));
			},
		},
		findHighestRate: {
			...shared,
			show(event) {
				if (event.type === "scenario-started") of = progress.say(event.scenario);
				if (event.type === "progress") draw(event);
			},
			async end(result) {
				drawing.clear();
				await finish(result.run);
				progress.end(found(result), el("a", { href: `#results=${result.run.id}` }, "See the results of all steps"));
				outcome.replaceChildren(stepTable(result.steps));
			},
		},
	};
	return { of: (task) => views[task] };
}
