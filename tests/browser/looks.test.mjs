// How each tab looks at each size, pixel ratio, zoom and color scheme: nothing is too wide, cut off or over something else, and axe finds
// nothing.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { violations } from "./axe.mjs";
import { pagesOfWorker, skip } from "./pages.mjs";

/** Zoom of 200 % is half the width in CSS pixels at twice the ratio. */
const SIZES = [
	["320", { width: 320, height: 640, ratio: 2 }],
	["390", { width: 390, height: 844, ratio: 3 }],
	["768", { width: 768, height: 1024, ratio: 1 }],
	["1280", { width: 1280, height: 800, ratio: 1 }],
	["1280 at 2", { width: 1280, height: 800, ratio: 2 }],
	["1280 at 200 %", { width: 640, height: 400, ratio: 2 }],
	["3840", { width: 3840, height: 2160, ratio: 1 }],
];
const SCHEMES = [
	["light", { colorScheme: "light", forcedColors: "none" }],
	["dark", { colorScheme: "dark", forcedColors: "none" }],
	["forced", { colorScheme: "light", forcedColors: "active" }],
];
const TABS = ["Run", "Results", "Live", "Try"];
const RUN_TIMEOUT_MS = 120_000;

/**
 * What is wrong with the layout of the shown page: too wide, texts over each other, and texts that are cut off. What scrolls in a region
 * of its own may be wider than it.
 */
function layoutFaults() {
	const faults = [];
	const excess = document.documentElement.scrollWidth - document.documentElement.clientWidth;
	if (excess > 0) faults.push(`${excess} px too wide`);
	const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
	const boxes = [];
	for (let node = walker.nextNode(); node; node = walker.nextNode()) {
		const parent = node.parentElement;
		const words = node.data.trim();
		if (words === "" || parent.closest(".hidden, [hidden], option, textarea, [aria-hidden=true], canvas, script"))
			continue;
		if (!parent.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true }))
			continue;
		const range = document.createRange();
		range.selectNodeContents(node);
		// A table whose rows are cards hides its head from the eye alone.
		if (parent.closest("thead") && getComputedStyle(parent.closest("thead")).position === "absolute") continue;
		const scroller = parent.closest(".table, .editor, pre, [data-scrolls]");
		for (const { left, right, top, bottom } of range.getClientRects()) {
			if (right - left < 1 || bottom - top < 1) continue;
			if (!scroller && (left < -1 || right > innerWidth + 1))
				faults.push(`\`${words.slice(0, 30)}\` reaches beyond the window`);
			// Ascenders and descenders of neighbouring lines may meet.
			const inset = (bottom - top) * 0.2;
			boxes.push({
				words,
				parent,
				scroller,
				left: left + 1,
				right: right - 1,
				top: top + inset,
				bottom: bottom - inset,
			});
		}
	}
	boxes.sort((one, other) => one.top - other.top);
	for (const [index, one] of boxes.entries()) {
		for (const other of boxes.slice(index + 1)) {
			if (other.top >= one.bottom) break;
			if (one.scroller !== other.scroller || one.parent === other.parent) continue;
			if (one.left < other.right && other.left < one.right) {
				faults.push(`\`${one.words.slice(0, 30)}\` and \`${other.words.slice(0, 30)}\` overlap`);
			}
		}
	}
	return [...new Set(faults)].slice(0, 5);
}

describe("the page at each size and in each color scheme", { skip, timeout: 600_000 }, () => {
	const world = pagesOfWorker();

	async function show(page, devtools, { width, height, ratio }) {
		await devtools.send("Emulation.setDeviceMetricsOverride", {
			...{ width, height, deviceScaleFactor: ratio, mobile: false },
		});
		// Charts are drawn again in the frame after a change of size.
		await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
	}

	async function openWithResults() {
		const page = await world.open();
		page.setDefaultTimeout(RUN_TIMEOUT_MS);
		await page.getByRole("button", { name: "Start", exact: true }).click();
		await page.locator("#first-sentence", { hasText: "instead of" }).waitFor();
		await page.getByRole("tab", { name: "Results" }).click();
		await page.locator("#results canvas").first().waitFor();
		for (let times = 0; times < 20; times += 1) {
			await world.worker.post("/v1/features", { entity_ids: [`u${times % 5}`], feature_names: ["score"] });
		}
		await page.getByRole("tab", { name: "Live" }).click();
		await page.locator("#live[data-state=shown]").waitFor();
		await page.getByRole("tab", { name: "Try" }).click();
		await page.getByRole("button", { name: /^Send/ }).click();
		await page.locator("#answer:not([aria-busy])").waitFor();
		return page;
	}

	test("nothing of any tab is too wide, cut off or over something else, and axe finds nothing", async () => {
		const page = await openWithResults();
		const devtools = await page.context().newCDPSession(page);
		const faults = [];
		for (const tab of TABS) {
			await page.getByRole("tab", { name: tab, exact: true }).click();
			for (const [scheme, media] of SCHEMES) {
				await page.emulateMedia(media);
				for (const [name, size] of SIZES) {
					await show(page, devtools, size);
					const found = await page.evaluate(layoutFaults);
					// Colors are what a scheme changes, and sizes what the layout does: axe judges each scheme once, and each size once.
					if (scheme === "light" || name === "1280") found.push(...(await violations(page)));
					faults.push(...found.map((fault) => `${tab}, ${scheme}, ${name}: ${fault}`));
				}
			}
		}
		assert.deepEqual(faults, []);
	});
});
