// The deployment's telemetry: `/v1/stats`, `/v1/sla` and `/v1/alerts`, refreshed while the page is visible.

import { byId, el } from "../dom.js";
import { needsToken, onToken, tokenButton } from "../token.js";
import { alertList } from "./alerts.js";
import { dashboardLink } from "./dashboard.js";
import { fetchReports, ReportError } from "./fetch_reports.js";
import { makeFlow } from "./flow.js";
import * as panels from "./panels.js";
import { makeTimeline, RANGES } from "./timeline.js";

/** The interval of refreshes: much shorter than a telemetry window's slot, and cheap. */
const INTERVAL_MS = 2_000;
/** The longest interval after errors, which double it. */
const MAX_INTERVAL_MS = 30_000;

const SCOPES = { isolate: "the isolate that responds", deployment: "all isolates" };

export function openLive() {
	const host = byId("live");
	const flow = makeFlow();
	const timeline = makeTimeline();
	const message = el("div", { id: "live-message", role: "status" });
	const wait = el("p.caption.figure", { id: "live-wait", hidden: true });
	const scope = picker("live-scope", "Scope", Object.entries(SCOPES));
	const range = picker(
		"live-range",
		"Time range",
		RANGES.map((seconds) => [seconds, panels.span(seconds)]),
	);
	range.select.value = "300";
	const pause = el("button.quiet", { type: "button", "aria-pressed": "false" }, "Pause");
	const dashboard = dashboardLink();
	const names = [
		"headline",
		"note",
		"tiers",
		"slo",
		"burn",
		"time",
		"memory",
		"cost",
		"prefetch",
		"alerts",
		"decisions",
	];
	const parts = Object.fromEntries(names.map((name) => [name, el("div")]));
	// Panels of figures that only an isolate has.
	const isolateOnly = {
		memory: panel("memory", "Memory", parts.memory),
		cost: panel("cost", "Cost", parts.cost),
		prefetch: panel("prefetch", "Prefetch", parts.prefetch),
		decisions: panel("decisions", "Optimizer", parts.decisions),
	};
	const column = (...panels) => el("div.column", {}, ...panels);
	host.append(
		el("div.toolbar", {}, scope.element, range.element, el("div.beside-pickers", {}, dashboard.element, pause)),
		message,
		wait,
		panel("now", "Now", parts.headline, parts.note),
		panel("tiers", "Tiers", flow.element, timeline.element, parts.tiers),
		el(
			"div.columns",
			{},
			column(panel("slo", "SLO", parts.slo, parts.burn), panel("alerts", "Alerts", parts.alerts)),
			column(panel("time", "Latency breakdown", parts.time), isolateOnly.memory, isolateOnly.cost),
			column(isolateOnly.prefetch, isolateOnly.decisions),
		),
	);
	let timer;
	let interval = INTERVAL_MS;

	function show(stats, sla, alerts) {
		const more = timeline.add(stats, panels.targetsOf(sla));
		const isUsed = (id) =>
			id === "l1" || id === "origin" || (stats.stores ? id in stats.stores : panels.hasLookups(stats.tiers[id]));
		const isIdle = sla.status === "no_data";
		const none = () => el("p.note", {}, "No requests in the window.");
		parts.headline.replaceChildren(panels.headline(stats, sla, alerts));
		parts.note.replaceChildren(...panels.notes(stats, isIdle));
		flow.show(stats.tiers, isUsed, more);
		replaceRows(parts.tiers, panels.tierTable(stats.tiers, isUsed));
		parts.slo.replaceChildren(isIdle ? none() : panels.targets(sla));
		replaceRows(parts.burn, panels.burnTable(sla));
		parts.time.replaceChildren(isIdle ? none() : panels.latency(stats));
		parts.alerts.replaceChildren(alertList(alerts));
		dashboard.show(stats.dashboard_url);
		for (const section of Object.values(isolateOnly)) section.hidden = stats.scope !== "isolate";
		if (stats.scope !== "isolate") return;
		parts.memory.replaceChildren(panels.memory(stats.isolate, more?.evicted ?? 0));
		parts.cost.replaceChildren(panels.cost(stats.cost));
		parts.prefetch.replaceChildren(panels.prefetch(stats.prefetch));
		parts.decisions.replaceChildren(panels.decisions(stats.optimizer));
	}

	async function refresh() {
		clearTimeout(timer);
		if (byId("page-live").hidden || document.hidden || pause.ariaPressed === "true") return;
		const of = scope.select.value;
		wait.hidden = true;
		try {
			const reports = await fetchReports(of);
			if (of !== scope.select.value) return;
			message.replaceChildren();
			show(...reports);
			interval = INTERVAL_MS;
			host.dataset.state = "shown";
		} catch (error) {
			if (!(error instanceof ReportError)) throw error;
			if (of !== scope.select.value) return;
			interval = Math.max(Math.min(2 * interval, MAX_INTERVAL_MS), error.retryAfterMs ?? 0);
			showError(error);
			countDown(Date.now() + interval);
		} finally {
			clearTimeout(timer);
			timer = setTimeout(refresh, interval);
		}
	}

	/** The same error is not said again. */
	function showError(error) {
		const { message: title, lines, status, problem } = error;
		if (message.firstChild?.dataset.error === JSON.stringify([title, lines])) return;
		const isolate = el("button.quiet", { type: "button", onclick: showIsolate }, "Show the isolate that responds");
		message.replaceChildren(
			el(
				"div.callout",
				{ "data-error": JSON.stringify([title, lines]) },
				el("p.callout-title", {}, title),
				...lines.filter((line) => line !== "").map((line) => el("p", {}, line)),
				needsToken(status) && tokenButton(),
				problem === "not-aggregated" && isolate,
			),
		);
	}

	/** Says when the next attempt is, outside of the status, which would be read aloud each second. */
	function countDown(until) {
		const left = Math.ceil((until - Date.now()) / 1000);
		wait.hidden = left <= 0;
		if (left <= 0) return;
		const retry = el("button.quiet", { type: "button", onclick: refreshNow }, "Retry now");
		wait.replaceChildren(`The page tries again in ${left} s. `, retry);
		const step = setInterval(() => {
			const seconds = Math.ceil((until - Date.now()) / 1000);
			if (wait.hidden || retry.parentNode === null || seconds <= 0) return clearInterval(step);
			wait.firstChild.data = `The page tries again in ${seconds} s. `;
		}, 1000);
	}

	function refreshNow() {
		interval = INTERVAL_MS;
		refresh();
	}

	function onScope() {
		timeline.clear();
		delete host.dataset.state;
		message.replaceChildren();
		refreshNow();
	}

	function showIsolate() {
		scope.select.value = "isolate";
		scope.select.focus();
		onScope();
	}

	scope.select.addEventListener("change", onScope);
	range.select.addEventListener("change", () => timeline.choose(Number(range.select.value)));
	pause.addEventListener("click", () => {
		const isPaused = pause.ariaPressed !== "true";
		pause.ariaPressed = String(isPaused);
		wait.hidden = true;
		refreshNow();
	});
	document.addEventListener("visibilitychange", refreshNow);
	addEventListener("online", refreshNow);
	onToken(refreshNow);
	return { onShow: refreshNow };
}

function picker(id, label, options) {
	const select = el("select", { id }, ...options.map(([value, words]) => el("option", { value }, words)));
	return { select, element: el("label.picker", { for: id }, label, select) };
}

function panel(name, title, ...children) {
	const id = `live-${name}`;
	return el("section.panel", { "aria-labelledby": id }, el("h2", { id }, title), ...children);
}

/** Replaces the rows of a table, and keeps its scroll position and focus. */
function replaceRows(host, fresh) {
	const old = host.querySelector("tbody");
	if (old) old.replaceWith(fresh.querySelector("tbody"));
	else host.append(fresh);
}
