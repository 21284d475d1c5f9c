// The Run tab: what Featheredge gains, the standard scenarios, and a measurement of one's own.

import { ask, framework } from "../bench/client.js";
import { byId } from "../dom.js";
import { openFirst } from "./first.js";
import { SETUP } from "./setup/saved.js";
import { openStandard } from "./standard.js";

/** Keeps a run in this browser. */
async function save(run) {
	const { history } = await import("../bench/history.js");
	await history.save(run);
}

export function openRun() {
	const setup = byId("setup");
	let opening;
	// Whoever reaches for the button finds the Web Worker started.
	for (const event of ["pointerenter", "focus"]) byId("start").addEventListener(event, framework, { once: true });
	openFirst(async (run) => {
		await save(run);
		return ask("summarySentence", { run });
	});
	openStandard(save);

	/** The form, made when it is first seen. */
	const form = () => {
		opening ??= import("./setup/index.js").then(({ openSetup }) => openSetup(save));
		return opening;
	};
	setup.addEventListener("toggle", () => setup.open && form());

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
