// The Run tab: what Featheredge gains, the standard scenarios, and a measurement of one's own.

import { ask, framework } from "../bench/client.js";
import { byId } from "../dom.js";
import { openFirst } from "./first.js";
import { SETUP } from "./setup/saved.js";
import { openStandard } from "./standard.js";

/** Keeps a run in this browser. One that stores nothing shows it all the same. */
async function save(run) {
	const { history } = await loadHistory();
	await history.save(run).catch((error) => console.warn("the run is not saved", error));
}

let loadingHistory;
/** Loaded before a measurement, whose end may find no network. */
function loadHistory() {
	loadingHistory ??= import("../bench/history.js").catch((error) => {
		loadingHistory = undefined;
		throw error;
	});
	return loadingHistory;
}

export function openRun() {
	const setup = byId("setup");
	let opening;
	// Whoever reaches for the button finds the Web Worker started.
	const prepare = () => Promise.allSettled([framework(), loadHistory()]);
	for (const event of ["pointerenter", "focus"]) byId("start").addEventListener(event, prepare, { once: true });
	openFirst(async (run) => {
		await save(run);
		return ask("summarySentence", { run });
	});
	openStandard(save);

	/** The form, made when it is first seen. */
	const form = () => {
		opening ??= (async () => {
			try {
				const [{ openSetup }] = await Promise.all([import("./setup/index.js"), loadHistory()]);
				return await openSetup(save);
			} catch (error) {
				// The next look at it tries again.
				opening = undefined;
				throw error;
			}
		})();
		return opening;
	};
	setup.addEventListener("toggle", async () => {
		if (!setup.open) return;
		await form().catch(() => {
			byId("run-form").textContent = "This part of the page cannot be loaded. Check the connection, and open it again.";
		});
	});

	return {
		async onShow() {
			const [, text] = location.hash.match(new RegExp(`^#run=${SETUP}(.*)$`)) ?? [];
			if (text === undefined) return;
			setup.open = true;
			(await form()).fill(text);
			setup.scrollIntoView();
		},
	};
}
