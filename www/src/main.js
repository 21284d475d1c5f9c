// Starts the page: shows the Worker's readiness, and opens the tab of the address. A tab's module is loaded
// when it is first opened.

import { byId, el } from "./dom.js";
import { showReadiness } from "./readiness.js";
import { makeTabs } from "./tabs.js";
import { openToken } from "./token.js";

/** How each page opens, by the name that stands in the fragment. */
const PAGES = {
	run: async () => (await import("./run/index.js")).openRun(),
	results: async () => (await import("./results/index.js")).openResults(),
	live: async () => (await import("./live/index.js")).openLive(),
	try: async () => (await import("./try/index.js")).openTry(),
};

const title = document.title;

/** @type {Map<string, Promise<any>>} */
const opened = new Map();

/** The page that the address names. */
function named() {
	const name = location.hash.slice(1).split("=")[0];
	return Object.hasOwn(PAGES, name) ? name : "run";
}

const tabs = makeTabs(byId("pages"), async (id) => {
	const name = id.slice("tab-".length);
	// A fragment that says more, such as a shared run, stays. Each tab is an entry of the history.
	if (named() !== name) history.pushState(null, "", `#${name}`);
	document.title = name === "run" ? title : `${byId(id).textContent} · Featheredge`;
	byId("opening").classList.toggle("hidden", name !== "run");
	if (!opened.has(name)) opened.set(name, PAGES[name]());
	const fault = byId(`page-${name}`).querySelector(".not-loaded");
	try {
		(await opened.get(name))?.onShow?.();
		fault?.remove();
	} catch (error) {
		// The next choice of the tab tries again.
		opened.delete(name);
		const words = "This part of the page cannot be loaded. Check the connection, and choose the tab again.";
		if (fault === null) byId(`page-${name}`).prepend(el("p.callout.not-loaded", { role: "alert" }, words));
		console.warn(error);
	}
});

// A form whose module is not there yet would load the page anew.
addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", () => tabs.choose(`tab-${named()}`));
// The skip link moves the focus, and leaves the address to the tabs.
byId("skip").addEventListener("click", (event) => {
	event.preventDefault();
	byId("main").focus();
});

showReadiness(byId("readiness"));
openToken();
tabs.choose(`tab-${named()}`);
