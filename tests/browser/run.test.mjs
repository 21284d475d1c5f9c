// The Run tab as a first visitor meets it: the first measurement, and the standard scenarios.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { collisions, measureFirst, openSetup, RUN_TIMEOUT_MS, stored } from "../support/measurement.mjs";
import { violations } from "./axe.mjs";
import { LOOKS, pagesOfWorker, skip } from "./pages.mjs";

/** From the press of *Start* to the sentence on two idle cores, and on a machine that does other things. */
const SENTENCE_MS = 6_000;
const BUSY_FACTOR = 2;
/** The longest a task of the page may take while it measures, in milliseconds: longer ones are felt. */
const LONG_TASK_MS = 50;
/** From the press of *Cancel* to the end. */
const CANCEL_MS = 100;

const FOLDS = [
	{ width: 1280, height: 800 },
	{ width: 390, height: 844 },
];

const sticksOut = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

describe("the first impression", { skip, timeout: 900_000 }, () => {
	const world = pagesOfWorker();

	for (const viewport of FOLDS) {
		test(`what it is, the button and what it measures are above the fold at ${viewport.width} px`, async () => {
			const page = await world.open({ viewport });
			for (const place of [
				page.locator("h1"),
				page.locator(".purpose"),
				page.locator("#start"),
				page.locator("#first-sentence"),
			]) {
				const { y, height } = await place.boundingBox();
				assert.ok(y + height <= viewport.height, `${place}: ends at ${y + height}`);
			}
			assert.equal(await page.locator("button.primary:visible").count(), 1, "one primary button");
		});
	}

	test("Start says in a sentence with figures what Featheredge gains, in seconds, and the columns agree with it", async (t) => {
		const page = await world.open();
		const begin = performance.now();
		const sentence = await measureFirst(page);
		const took = performance.now() - begin;
		t.diagnostic(`from Start to the sentence: ${(took / 1000).toFixed(1)} s`);
		assert.ok(took <= SENTENCE_MS * BUSY_FACTOR, `${took} ms`);
		const [, fast, slow, fewer, saved] = sentence.match(
			/^(.+) instead of (.+); ([\d.]+)\s% fewer calls to the origin; \$([\d.]+) saved per million requests\.$/,
		);
		const id = (await page.locator("#first-more a").getAttribute("href")).split("=")[1];
		const run = await stored(page, id);
		const [featheredge, origin] = ["featheredge", "origin"].map((side) =>
			run.scenarios.find(({ served_by }) => served_by === side),
		);
		assert.ok(featheredge.summary.median_ms < origin.summary.median_ms / 10, `${fast} instead of ${slow}`);
		assert.ok(origin.summary.median_ms >= 10 && Number(fewer) > 50 && Number(saved) > 0, sentence);
		assert.deepEqual([featheredge.summary.failed, origin.summary.failed], [0, 0]);
		const cells = await page
			.locator("#first-figures tbody tr")
			.evaluateAll((rows) => rows.map((row) => [...row.cells].map(({ textContent }) => textContent)));
		assert.deepEqual(
			cells.map(([name]) => name),
			["Median", "p99", "Responses per second", "Origin calls per 1,000 requests", "Cost per million requests"],
		);
		const number = (text) => Number(text.replace(/[$,]/g, ""));
		assert.equal(number(cells[2][1]), Math.round(featheredge.summary.throughput));
		assert.ok(number(cells[2][1]) > number(cells[2][2]) && number(cells[3][2]) === 1_000, JSON.stringify(cells));
		assert.match(await page.locator("#first-chart svg").getAttribute("aria-label"), /Featheredge: median .*origin/);
	});

	test("each measurement is announced once when it starts and once when it ends", async () => {
		const page = await world.open();
		await page.evaluate(() => {
			globalThis.said = [];
			for (const region of document.querySelectorAll("#page-run [role=status]")) {
				new MutationObserver(() => globalThis.said.push(region.textContent)).observe(region, { childList: true });
			}
		});
		const sentence = await measureFirst(page);
		assert.deepEqual(await page.evaluate(() => globalThis.said), ["The measurement has started.", sentence]);
	});

	test("a measurement that is cancelled ends at once, keeps nothing, and the next one runs", async (t) => {
		const page = await world.open();
		await page.evaluate(() => {
			const cancel = document.getElementById("first-cancel");
			cancel.addEventListener("click", () => (globalThis.pressedAt = performance.now()));
			new MutationObserver(() => {
				if (cancel.hidden) globalThis.tookMs = performance.now() - globalThis.pressedAt;
			}).observe(cancel, { attributeFilter: ["hidden"] });
		});
		let best = Number.POSITIVE_INFINITY;
		// A machine that does other things is late: the best of five is the page's own.
		for (let attempt = 0; attempt < 5 && best > CANCEL_MS; attempt++) {
			await page.locator("#start").click();
			await page.getByText("on the origin alone.").or(page.getByText("Measuring a popular load")).waitFor();
			await page.locator("#first-cancel").click();
			await page.locator("#first-cancel").waitFor({ state: "hidden" });
			best = Math.min(best, await page.evaluate(() => globalThis.tookMs));
		}
		t.diagnostic(`from Cancel to the end: ${best.toFixed(0)} ms`);
		assert.ok(best <= CANCEL_MS, `${best} ms`);
		assert.equal(await page.locator("#first-announcement").textContent(), "Cancelled. Nothing was saved.");
		assert.equal(await stored(page), 0);
		await measureFirst(page);
		assert.equal(await stored(page), 1);
	});

	test("while one measurement runs, no other begins", async () => {
		const page = await world.open();
		await openSetup(page);
		await page.locator("#start").click();
		const others = [
			page.locator("#standard-start"),
			page.locator("#run-form button[type=submit]"),
			page.locator("#start"),
		];
		for (const other of others) {
			assert.equal(await other.getAttribute("aria-disabled"), "true");
			await other.click({ force: true });
		}
		await page.locator("#first[data-state=measured]").waitFor({ timeout: RUN_TIMEOUT_MS });
		assert.equal(await page.locator("#standard-view, #run-state").locator("progress").count(), 0);
		assert.equal(await stored(page), 1);
		assert.equal(await others[0].getAttribute("aria-disabled"), "false");
	});

	test("the standard scenarios stand cold and warm side by side, and each missed target says why", async () => {
		const page = await world.open();
		await page.locator("#standard-start").click();
		const link = page.locator("#standard-view").getByRole("link", { name: "See the results" });
		await link.waitFor({ timeout: RUN_TIMEOUT_MS });
		const cards = page.locator("#standard-view article");
		assert.deepEqual(await cards.locator("h3").allTextContents(), [
			"low_latency_individual",
			"batch_processing",
			"mixed_workload",
			"stress_test",
		]);
		const run = await stored(page, (await link.getAttribute("href")).split("=")[1]);
		assert.equal(run.scenarios.length, 8);
		for (const [at, card] of (await cards.all()).entries()) {
			assert.deepEqual(await card.locator("thead th").allTextContents(), ["Cold caches", "Warm caches"]);
			const [cold, warm] = run.scenarios.slice(2 * at, 2 * at + 2).map(({ summary }) => summary);
			assert.deepEqual([cold.failed, warm.failed], [0, 0]);
			assert.ok(cold.model.hit_ratio === 0 && warm.model.hit_ratio > 0.5, JSON.stringify([cold.model, warm.model]));
			const missed = [cold, warm].flatMap(({ verdicts }) => verdicts.filter(({ is_met }) => is_met === false));
			const said = await card.locator("[data-kind=missed]").allTextContents();
			assert.equal(said.length, missed.length);
			for (const [number, { reason }] of missed.entries())
				assert.ok(reason && said[number].endsWith(reason), said[number]);
		}
	});

	test("the page stays smooth while it measures", async (t) => {
		const page = await world.open();
		await page.evaluate(() => {
			const see = (list) => {
				for (const { duration } of list.getEntries()) globalThis.longest = Math.max(globalThis.longest, duration);
			};
			new PerformanceObserver(see).observe({ entryTypes: ["longtask"] });
		});
		// A machine that does other things at the same time lengthens tasks: the best of three is the page's own.
		let longest;
		for (let attempt = 0; attempt < 3; attempt++) {
			await page.evaluate(() => (globalThis.longest = 0));
			await measureFirst(page);
			longest = await page.evaluate(() => globalThis.longest);
			if (longest <= LONG_TASK_MS) break;
		}
		t.diagnostic(`the longest task: ${longest} ms`);
		assert.ok(longest <= LONG_TASK_MS, `${longest} ms`);
	});

	test("no text overlaps another or is cut, whatever the width", async () => {
		const page = await world.open();
		await measureFirst(page);
		await page.locator("#standard-start").click();
		await page.locator("#standard-view a").waitFor({ timeout: RUN_TIMEOUT_MS });
		await openSetup(page);
		await page.getByLabel("composed", { exact: true }).check();
		for (const width of [320, 390, 768, 1280, 1440, 3840]) {
			await page.setViewportSize({ width, height: 900 });
			assert.deepEqual(await collisions(page), [], `${width} px`);
		}
		// The search finds what there is to be found.
		await page.evaluate(() => (document.getElementById("first-sentence").style.marginTop = "-6rem"));
		assert.notDeepEqual(await collisions(page), []);
	});

	// `looks.test.mjs` has the first measurement in all looks; these have the standard scenarios, too.
	for (const options of [LOOKS.at(-1), { viewport: { width: 1280, height: 800 }, forcedColors: "active" }]) {
		const { colorScheme = "light", viewport, forcedColors } = options;
		test(`axe finds nothing in ${forcedColors ? "forced colours" : colorScheme} at ${viewport.width} px, and nothing sticks out`, async () => {
			const page = await world.open(options);
			const look = async (what) => {
				assert.deepEqual(await violations(page), [], what);
				assert.ok((await sticksOut(page)) <= 0, what);
			};
			await look("before");
			await page.locator("#start").click();
			await page.locator("#first[data-state=measuring]").waitFor();
			await look("during");
			await page.locator("#first[data-state=measured]").waitFor({ timeout: RUN_TIMEOUT_MS });
			await openSetup(page);
			await look("after");
		});
	}
});
