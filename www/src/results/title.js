// The head of a run: its name and notes, which are edited in place, and what it was measured with.

import { el } from "../dom.js";
import { many } from "./tables.js";

const NAME_LENGTH = 100;
const NOTES_LENGTH = 2000;

const when = (run) => new Date(run.started_at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const target = ({ environment }) => (environment.target === "engine" ? "this page’s engine" : environment.target);

/** A run in one line. */
export const titled = (run) => (run.name ? `${run.name} (${when(run)})` : `${when(run)}, ${target(run)}`);

/**
 * @param {any} run
 * @param {((changes: { name: string, notes: string }) => Promise<void>) | undefined} onEdit for a run that is stored
 */
export function head(run, onEdit) {
	const element = el("div.run-head");
	const show = (isFocused = false) => {
		const edit = el("button.quiet", { type: "button", id: "edit-run", onclick: () => ask() }, "Edit name and notes");
		element.replaceChildren(
			el(
				"div.run-title",
				{},
				el("h2", { id: "run-title" }, run.name || titled(run)),
				...(run.is_baseline ? [el("span.verdict", { "data-verdict": "met" }, "Baseline")] : []),
				...(onEdit === undefined ? [] : [edit]),
			),
			el("p.caption", {}, environment(run)),
			...(run.notes ? [el("p.notes", {}, run.notes)] : []),
		);
		if (isFocused) edit.focus();
	};

	function ask() {
		const name = el("input", { id: "run-name", value: run.name ?? "", maxlength: NAME_LENGTH, autocomplete: "off" });
		const notes = el("textarea", { id: "run-notes", rows: 3, maxlength: NOTES_LENGTH }, run.notes ?? "");
		const form = el(
			"form.setup.run-edit",
			{
				onsubmit: async (event) => {
					event.preventDefault();
					await onEdit({ name: name.value.trim(), notes: notes.value.trim() });
				},
				onkeydown: (event) => event.key === "Escape" && show(true),
			},
			el("label.field", { for: "run-name" }, "Name", name),
			el("label.field", { for: "run-notes" }, "Notes", notes),
			el(
				"div.actions",
				{},
				el("button.primary", { type: "submit" }, "Save name and notes"),
				el("button.quiet", { type: "button", onclick: () => show(true) }, "Cancel"),
			),
		);
		element.replaceChildren(el("h2.hidden", { id: "run-title" }, titled(run)), form);
		name.focus();
	}

	show();
	return element;
}

function environment(run) {
	const { environment, product_version, scenarios, id } = run;
	const { host, machine, cores, settings } = environment;
	const repeats = scenarios.reduce((most, { repeats }) => Math.max(most, repeats.length), 0);
	const parts = [
		...(run.name ? [when(run), target(run)] : []),
		`Featheredge ${product_version}`,
		host,
		`${cores > 0 ? many(cores, "core") : "unknown cores"}, ${machine}`,
		...settings.map(({ name, value }) => `${name} ${value}`),
		many(repeats, "repetition"),
		`run ${id}`,
	];
	return parts.join(" · ");
}
