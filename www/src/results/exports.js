// A run as a file, or in the clipboard, in each format.

import { el } from "../dom.js";
import { FORMATS } from "./data.js";

/**
 * @param {() => any} shown the run
 * @param {(words: string) => void} tell
 */
export function exportMenu(shown, tell) {
	const menu = el(
		"details.menu",
		{},
		el("summary", {}, "Export"),
		el(
			"div.panel",
			{},
			...FORMATS.map(({ name, ending, type, write }) =>
				el(
					"div.menu-row",
					{ role: "group", "aria-label": name },
					el("span", {}, name),
					button(`Download ${name}`, "Download", async () => {
						download(`featheredge-${shown().id}.${ending}`, type, await write(shown()));
						tell(`${name} is downloaded.`);
					}),
					button(`Copy ${name}`, "Copy", async () => {
						const isCopied = await copied(write(shown()));
						tell(isCopied ? `${name} is copied.` : "The browser does not let this page copy. Download it instead.");
					}),
				),
			),
		),
	);
	menu.addEventListener("keydown", (event) => {
		if (event.key !== "Escape" || !menu.open) return;
		menu.open = false;
		menu.querySelector("summary").focus();
	});
	menu.addEventListener("focusout", ({ relatedTarget }) => {
		if (relatedTarget !== null && !menu.contains(relatedTarget)) menu.open = false;
	});

	function button(label, words, act) {
		const attributes = { type: "button", "aria-label": label };
		return el(
			"button.quiet",
			{
				...attributes,
				onclick: async () => {
					menu.open = false;
					try {
						await act();
					} catch (error) {
						tell(`The export failed: ${error.message}`);
					}
				},
			},
			words,
		);
	}
	return menu;
}

function download(name, type, text) {
	const url = URL.createObjectURL(new Blob([text], { type }));
	el("a", { href: url, download: name }).click();
	// The browser has started the download by then.
	setTimeout(() => URL.revokeObjectURL(url), 1_000);
}

/** Copies a text, whether the browser lets it. @param {string | Promise<string>} text */
export async function copied(text) {
	try {
		await navigator.clipboard.writeText(await text);
		return true;
	} catch {
		return false;
	}
}
