// The saved runs: one in full, or two compared.

import { ask } from "../bench/client.js";
import { forget, keep, runs } from "../bench/history.js";
import { byId, el } from "../dom.js";
import { comparison } from "./compare.js";
import { details } from "./details.js";
import { link, opened } from "./share.js";
import { count, many, summaryTable } from "./tables.js";

/** The fragment of a run that is in the link itself. */
const SHARED = "shared:";

export function openResults() {
	const host = byId("results");
	/** @type {import("../charts.js").Chart[]} */
	let charts = [];
	let shown;
	/** The run of a link, which is saved only on request. */
	let visitor;
	let latest = 0;

	/** The address's run: an id, or a whole run. */
	const fragment = () =>
		location.hash.startsWith("#results=") ? decodeURIComponent(location.hash.slice("#results=".length)) : "";

	const announce = (words) => {
		byId("results-announcement").textContent = words;
	};

	const fail = (words) => {
		announce(words);
		byId("results-message")?.replaceChildren(el("p.callout", {}, words));
	};

	async function show() {
		latest += 1;
		const turn = latest;
		const wanted = fragment();
		let fault;
		if (wanted.startsWith(SHARED)) {
			try {
				visitor = await ask("summarize", { run: await opened(wanted.slice(SHARED.length)) });
			} catch (error) {
				fault = `This link has no valid run: ${error.message}`;
			}
		}
		const stored = await runs();
		if (turn !== latest) return;
		const known = visitor === undefined || stored.some(({ id }) => id === visitor.id) ? stored : [visitor, ...stored];
		shown = known.find(({ id }) => id === wanted) ?? (wanted.startsWith(SHARED) && visitor) ?? known[0];
		shown ||= known[0];
		draw(known, stored);
		if (fault !== undefined) fail(fault);
	}

	function draw(known, stored) {
		for (const chart of charts) chart.remove();
		charts = [];
		const importer = el("input.hidden", {
			type: "file",
			id: "import-file",
			accept: "application/json,.json",
			tabindex: -1,
			"aria-hidden": "true",
			onchange: take,
		});
		const bar = el(
			"div.toolbar",
			{},
			known.length > 0 && picker("chosen-run", "Run", known, shown, (id) => go(id)),
			el("button.quiet", { type: "button", onclick: () => importer.click() }, "Import"),
			importer,
			...(shown === undefined ? [] : tools(stored)),
		);
		const message = el("div", { id: "results-message" });
		if (shown === undefined) {
			host.replaceChildren(
				bar,
				message,
				el("p.note", {}, "No runs yet. ", el("a", { href: "#run" }, "Measure something"), ", or import a run."),
			);
			return;
		}
		const others = known.filter(({ id }) => id !== shown.id);
		const compared = el("div", { id: "compared" });
		const compareBar =
			others.length > 0 &&
			el(
				"div.toolbar",
				{},
				picker("compared-run", "Compare with", [{ id: "" }, ...others], undefined, (id) =>
					beside(
						others.find((run) => run.id === id),
						compared,
					),
				),
			);
		host.replaceChildren(
			bar,
			message,
			el(
				"section.panel",
				{ "aria-labelledby": "run-title" },
				el("h2", { id: "run-title" }, titled(shown)),
				el("p.caption", {}, environment(shown)),
				summaryTable(shown),
				compareBar || null,
			),
			compared,
			el("div.apart", { id: "apart" }, ...shown.scenarios.map((measured) => details(measured, charts))),
		);
		host.dataset.run = shown.id;
	}

	function tools(stored) {
		const isStored = stored.some(({ id }) => id === shown.id);
		return [
			el("button.quiet", { type: "button", onclick: () => save(shown) }, "Export"),
			el("button.quiet", { type: "button", id: "share", onclick: share }, "Share link"),
			el("button.quiet", { type: "button", onclick: () => print() }, "Print"),
			isStored
				? el("button.quiet", { type: "button", onclick: remove }, "Delete")
				: el("button.quiet", { type: "button", onclick: adopt }, "Save"),
		];
	}

	function go(id) {
		history.replaceState(null, "", `#results=${id}`);
		show();
	}

	async function beside(other, place) {
		byId("apart").hidden = other !== undefined;
		if (other === undefined) return place.replaceChildren();
		announce("Comparing.");
		place.replaceChildren(await comparison(shown, other, charts));
		announce("Compared.");
	}

	async function take(event) {
		const [file] = event.target.files;
		if (file === undefined) return;
		try {
			const run = await ask("summarize", { run: JSON.parse(await file.text()) });
			await keep(run);
			go(run.id);
			announce("Imported.");
		} catch (error) {
			fail(`${file.name} has no valid run: ${error.message}`);
		}
	}

	async function share() {
		const address = await link(shown);
		const isCopied = await navigator.clipboard.writeText(address).then(
			() => true,
			() => false,
		);
		history.replaceState(null, "", address);
		announce(isCopied ? "The link is copied, and is in the address bar." : "The link is in the address bar.");
		byId("results-message").replaceChildren(
			el(
				"p.note",
				{},
				`${isCopied ? "The link is copied, and is" : "The link is"} in the address bar. It contains the whole run, ${count(address.length)} characters.`,
			),
		);
	}

	async function remove() {
		await forget(shown.id);
		if (visitor?.id === shown.id) visitor = undefined;
		history.replaceState(null, "", "#results");
		await show();
		announce("Deleted.");
	}

	async function adopt() {
		await keep(shown);
		go(shown.id);
		announce("Saved.");
	}

	addEventListener("hashchange", () => location.hash.startsWith("#results") && show());
	return { onShow: show };
}

const when = (run) => new Date(run.started_at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });

const titled = (run) =>
	`${when(run)}, ${run.environment.target === "engine" ? "this page’s engine" : run.environment.target}`;

function environment({ environment, product_version, scenarios, id }) {
	const { host, machine, cores, settings } = environment;
	const repeats = Math.max(0, ...scenarios.map(({ repeats }) => repeats.length));
	const parts = [
		`Featheredge ${product_version}`,
		host,
		`${cores > 0 ? many(cores, "core") : "unknown cores"}, ${machine}`,
		...settings.map(({ name, value }) => `${name} ${value}`),
		many(repeats, "repetition"),
		`run ${id}`,
	];
	return parts.join(" · ");
}

function picker(id, label, all, chosen, onChoose) {
	const options = all.map((run) =>
		el(
			"option",
			{ value: run.id, selected: run.id === chosen?.id },
			run.id === "" ? "nothing" : `${titled(run)} (${run.scenarios.length})`,
		),
	);
	const select = el("select", { id, onchange: (event) => onChoose(event.target.value) }, ...options);
	return el("label.picker", { for: id }, el("span", {}, label), select);
}

/** Downloads a run as a file. */
function save(run) {
	const url = URL.createObjectURL(new Blob([`${JSON.stringify(run, null, "\t")}\n`], { type: "application/json" }));
	const anchor = el("a", { href: url, download: `featheredge-${run.id}.json` });
	anchor.click();
	// The browser has started the download by then.
	setTimeout(() => URL.revokeObjectURL(url), 1_000);
}
