// The tab Results: the saved runs, one of them in full, and against a baseline.

import { overview } from "../charts.js";
import { byId, el } from "../dom.js";
import { addressOf, wanted } from "./address.js";
import { comparison } from "./compare.js";
import { MAX_BYTES, parse, history as saved, sentence } from "./data.js";
import { details, grouped } from "./details.js";
import { copied, exportMenu } from "./exports.js";
import { link, opened } from "./share.js";
import { count, summaryTable, variantOf } from "./tables.js";
import { head, titled } from "./title.js";

/** Lets the page draw and answer between two parts of a long result. */
const pause = () => new Promise((resolve) => setTimeout(resolve));

export function openResults() {
	const host = byId("results");
	/** @type {{ remove: () => void }[]} */
	let charts = [];
	let shown;
	/** The run of a link, which is saved only on request. */
	let visitor;
	let latest = 0;

	/** Says something to those who see the page, and to those who hear it. */
	const say = (words, kind = "note") => {
		byId("results-announcement").textContent = words;
		byId("results-message")?.replaceChildren(el(`p.${kind}`, {}, words));
	};
	const fail = (words) => say(words, "callout");

	async function show() {
		latest += 1;
		const turn = latest;
		const address = wanted(location.hash);
		let fault;
		if (address.kind === "shared") {
			try {
				visitor = await parse(await opened(address.text));
			} catch (error) {
				fault = `This link has no valid run: ${error.message}`;
			}
		}
		const stored = await saved.history();
		if (turn !== latest) return;
		const known = visitor === undefined || stored.some(({ id }) => id === visitor.id) ? stored : [visitor, ...stored];
		if (address.kind === "newest") shown = known[0];
		else if (address.kind === "shared") shown = fault === undefined ? visitor : undefined;
		else shown = known.find(({ id }) => id === address.id);
		if (address.kind === "broken") fault = "This address names no run.";
		else if (address.kind === "run" && shown === undefined) {
			fault = `This browser does not have the run ${address.id}. Runs stay in the browser that measured them: ask for its share link, or import its export.`;
		}
		await draw(known, stored, turn);
		if (fault !== undefined && turn === latest) fail(fault);
	}

	async function draw(known, stored, turn) {
		for (const chart of charts) chart.remove();
		charts = [];
		const tools = el("div.toolbar", {}, ...toolbar(known, stored));
		const message = el("div", { id: "results-message" });
		host.dataset.run = shown?.id ?? "";
		if (shown === undefined) {
			const measure = el("a", { href: "#run" }, "Measure something");
			host.replaceChildren(
				tools,
				message,
				...(known.length === 0 ? [el("p.note", {}, "No runs yet. ", measure, ", or import a run.")] : []),
			);
			return;
		}
		const run = shown;
		const isStored = stored.some(({ id }) => id === run.id);
		const said = el("p.sentence");
		const compared = el("section.panel.compared", {
			id: "compared",
			"aria-labelledby": "compared-title",
			hidden: true,
		});
		const apart = el("div.apart", { id: "apart" });
		const figures = el("div");
		const all = overview(
			run.scenarios.map((measured) => ({
				name: measured.scenario.name,
				variant: variantOf(measured),
				summary: measured.summary,
			})),
			run.targets,
		);
		charts.push(all);
		host.replaceChildren(
			tools,
			message,
			el(
				"section.panel",
				{ "aria-labelledby": "run-title" },
				head(run, isStored ? (changes) => edit(run.id, changes) : undefined),
				said,
				all.element,
				figures,
			),
			...compareWith(known, compared),
			compared,
			apart,
		);
		await pause();
		figures.replaceWith(summaryTable(run));
		said.textContent = (await sentence(run)) ?? "";
		for (const group of grouped(run)) {
			await pause();
			if (turn !== latest) return;
			apart.append(details(group, run.targets, charts));
		}
	}

	function toolbar(known, stored) {
		const importer = el("input.hidden", {
			type: "file",
			id: "import-file",
			accept: "application/json,.json",
			tabindex: -1,
			"aria-hidden": "true",
			onchange: take,
		});
		const button = (words, onclick, id) => el("button.quiet", { type: "button", id, onclick }, words);
		const isStored = stored.some(({ id }) => id === shown?.id);
		return [
			known.length > 0 && picker("chosen-run", "Run", known, shown, go, shown === undefined && "choose a run"),
			button("Import", () => importer.click()),
			importer,
			...(shown === undefined
				? []
				: [
						exportMenu(() => shown, say),
						button("Share link", share, "share"),
						button("Print", () => print()),
						...(isStored
							? [
									button(shown.is_baseline ? "Baseline no more" : "Make this the baseline", choose, "baseline"),
									button("Delete", remove),
								]
							: [button("Save", adopt)]),
					]),
		].filter(Boolean);
	}

	/** The choice of a baseline; the one that is remembered is compared at once. */
	function compareWith(known, place) {
		const others = known.filter(({ id }) => id !== shown.id);
		if (others.length === 0) return [];
		const remembered = others.find(({ is_baseline }) => is_baseline);
		const choice = (id) =>
			beside(
				others.find((run) => run.id === id),
				place,
			);
		if (remembered !== undefined) choice(remembered.id);
		return [el("div.toolbar", {}, picker("compared-run", "Compare with", others, remembered, choice, "nothing"))];
	}

	async function beside(baseline, place) {
		place.hidden = baseline === undefined;
		if (baseline === undefined) return;
		const title = `Against ${baseline.is_baseline ? "the baseline" : "another run"}: ${titled(baseline)}`;
		place.replaceChildren(el("h2", { id: "compared-title" }, title), el("p.note", {}, "Comparing."));
		try {
			const content = await comparison(baseline, shown, titled, charts);
			place.lastChild.replaceWith(...content);
			byId("results-announcement").textContent = content[0].textContent;
		} catch (error) {
			place.lastChild.replaceWith(el("p.callout", {}, `The runs cannot be compared: ${error.message}`));
		}
	}

	async function go(id) {
		if (id === "") return;
		history.pushState(null, "", addressOf(id));
		await show();
	}

	async function take(event) {
		const [file] = event.target.files;
		event.target.value = "";
		if (file === undefined) return;
		try {
			if (file.size > MAX_BYTES) throw new Error("it is larger than 8 MiB.");
			const run = await parse(await file.text());
			await saved.save(run);
			await go(run.id);
			say("Imported.");
		} catch (error) {
			fail(`${file.name} has no valid run: ${error.message}`);
		}
	}

	async function share() {
		const address = await link(shown);
		if (address.length > MAX_BYTES) return fail("This run is too large for a link. Export it instead.");
		const isCopied = await copied(address);
		history.replaceState(null, "", address);
		const where = isCopied ? "The link is copied, and is in the address bar." : "The link is in the address bar.";
		say(`${where} It contains the whole run, ${count(address.length)} characters.`);
	}

	async function edit(id, changes) {
		await saved.update(id, changes);
		await show();
		byId("edit-run")?.focus();
		say("Name and notes are saved.");
	}

	async function choose() {
		const is_baseline = !shown.is_baseline;
		await saved.update(shown.id, { is_baseline });
		await show();
		byId("baseline")?.focus();
		say(is_baseline ? "Other runs are now compared with this one." : "There is no baseline now.");
	}

	async function remove() {
		await saved.remove(shown.id);
		if (visitor?.id === shown.id) visitor = undefined;
		history.replaceState(null, "", "#results");
		await show();
		say("Deleted.");
	}

	async function adopt() {
		const { id } = shown;
		await saved.save(shown);
		await go(id);
		say("Saved.");
	}

	return { onShow: show };
}

function picker(id, label, all, chosen, onChoose, none) {
	const options = all.map((run) =>
		el(
			"option",
			{ value: run.id, selected: run.id === chosen?.id },
			`${titled(run)} (${run.scenarios.length})${run.is_baseline ? ", baseline" : ""}`,
		),
	);
	if (none) options.unshift(el("option", { value: "", selected: chosen === undefined }, none));
	const select = el("select", { id, onchange: (event) => onChoose(event.target.value) }, ...options);
	return el("label.picker", { for: id }, el("span", {}, label), select);
}
