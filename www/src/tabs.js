// Tabs by the ARIA pattern: one stop for the Tab key, arrows between them.

/**
 * @typedef {object} Tabs
 * @property {(id: string, isOffered: boolean) => void} offer shows or hides a tab; one that was left because it was hidden is chosen
 * again when it comes back
 * @property {(id: string) => void} choose chooses a tab
 */

/**
 * @param {HTMLElement} tablist
 * @param {(id: string) => void} [onSelect] called with each chosen tab
 * @returns {Tabs}
 */
export function makeTabs(tablist, onSelect = () => {}) {
	const tabs = [...tablist.querySelectorAll("[role=tab]")];
	const shown = () => tabs.filter((tab) => !tab.hidden);
	let wanted = tabs[0];

	const select = (chosen) => {
		for (const tab of tabs) {
			const isChosen = tab === chosen;
			tab.setAttribute("aria-selected", String(isChosen));
			tab.tabIndex = isChosen ? 0 : -1;
			document.getElementById(tab.getAttribute("aria-controls")).hidden = !isChosen;
		}
	};
	const choose = (tab) => {
		wanted = tab;
		select(tab);
		onSelect(tab.id);
	};
	tablist.addEventListener("click", (event) => {
		const tab = event.target.closest("[role=tab]");
		if (tab) choose(tab);
	});
	tablist.addEventListener("keydown", (event) => {
		const all = shown();
		const at = all.indexOf(document.activeElement);
		const step = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
		if (step === undefined || at < 0) return;
		event.preventDefault();
		const tab = all.at(step % all.length);
		choose(tab);
		tab.focus();
	});
	select(wanted);

	return {
		choose(id) {
			choose(document.getElementById(id));
		},
		offer(id, isOffered) {
			document.getElementById(id).hidden = !isOffered;
			select(wanted.hidden ? shown()[0] : wanted);
		},
	};
}
