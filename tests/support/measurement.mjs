// What the tests of the page measure with: its first measurement, and *Set up a measurement*.

/** A busy machine is slow. */
export const RUN_TIMEOUT_MS = 180_000;

/** Presses *Start*, and waits for the sentence. */
export async function measureFirst(page) {
	await page.locator("#start").click();
	await page.locator("#first[data-state=measured]").waitFor({ timeout: RUN_TIMEOUT_MS });
	return page.locator("#first-sentence").innerText();
}

/** Opens *Set up a measurement*. */
export async function openSetup(page) {
	if (!(await page.locator("#setup").evaluate(({ open }) => open))) await page.locator("#setup > summary").click();
	await page.locator("#run-form[data-state=ready]").waitFor();
}

/**
 * Fills the set-up, and begins its measurement.
 *
 * @param {import("playwright-core").Page} page
 * @param {object} [choice]
 * @param {string[]} [choice.only] scenarios
 * @param {number} [choice.repeats]
 * @param {string} [choice.scale]
 * @param {string} [choice.target] the label
 */
export async function begin(page, { only = ["mixed_workload"], repeats = 1, scale = "1", target } = {}) {
	await openSetup(page);
	const form = page.locator("#run-form");
	for (const box of await form.locator("input[name=scenario]").all()) {
		await box.setChecked(only.includes(await box.inputValue()));
	}
	if (target !== undefined) await form.getByLabel(target, { exact: true }).check();
	await form.getByLabel("Repetitions").fill(String(repeats));
	await form.getByLabel("Scale").selectOption(scale);
	await form.getByRole("button", { name: "Measure" }).click();
}

/** Measures a set-up to its end, and gives the run as it is kept. */
export async function measure(page, choice) {
	await begin(page, choice);
	await page.locator("#run-state progress").waitFor();
	const link = page.locator("#run-state").getByRole("link", { name: "See the results" });
	await link.waitFor({ timeout: RUN_TIMEOUT_MS });
	return stored(page, (await link.getAttribute("href")).split("=")[1]);
}

/** The kept run of an id, or how many there are without one. */
export function stored(page, id) {
	return page.evaluate(async (id) => {
		const own = "featheredge-benchmark";
		// To open what is not there would make it.
		if (!(await indexedDB.databases()).some((database) => database.name === own)) return 0;
		const result = (request) =>
			new Promise((resolve, reject) => {
				request.onsuccess = () => resolve(request.result);
				request.onerror = () => reject(request.error);
			});
		const database = await result(indexedDB.open(own));
		const [name] = database.objectStoreNames;
		const runs = database.transaction(name).objectStore(name);
		const found = await result(id === undefined ? runs.count() : runs.get(id));
		database.close();
		return id === undefined ? found : found.run;
	}, id);
}

/** Texts that overlap others, or are cut by the element that they are in. */
export function collisions(page) {
	return page.evaluate(() => {
		/** @type {{ node: Text, words: string, box: DOMRect }[]} */
		const boxes = [];
		const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		while (walker.nextNode()) {
			const { currentNode: node } = walker;
			const { parentElement: parent } = node;
			const words = node.textContent.trim();
			if (words === "" || parent.closest(".hidden, option, caption") || !parent.checkVisibility()) continue;
			const range = document.createRange();
			range.selectNodeContents(node);
			for (const box of range.getClientRects()) if (box.width > 1 && box.height > 1) boxes.push({ node, words, box });
		}
		const shared = (one, other, low, high) => Math.min(one[high], other[high]) - Math.max(one[low], other[low]);
		const overlapping = boxes.flatMap((one, at) =>
			boxes
				.slice(at + 1)
				.filter(({ node }) => node !== one.node)
				// Lines stand close: the boxes of two may share some pixels, and their letters none.
				.filter(({ box }) => shared(one.box, box, "left", "right") > 1 && shared(one.box, box, "top", "bottom") > 4)
				.map((other) => `“${one.words}” over “${other.words}”`),
		);
		const cut = [...document.querySelectorAll("button, th, td, legend, h1, h2, h3")]
			.filter((element) => element.checkVisibility() && element.scrollWidth > element.clientWidth + 1)
			.filter((element) => getComputedStyle(element).display !== "inline" && !element.classList.contains("hidden"))
			.map((element) => `“${element.textContent.trim()}” is cut`);
		return [...overlapping, ...cut];
	});
}
