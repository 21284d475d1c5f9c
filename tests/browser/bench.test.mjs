// Results in the page, in a real Chromium: keep, compare, export, import, share.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { beforeEach, describe, test } from "node:test";
import { measure as measured, openSetup, RUN_TIMEOUT_MS } from "../support/measurement.mjs";
import { pagesOfWorker, skip } from "./pages.mjs";

describe("benchmarks in the page", { skip, timeout: 900_000 }, () => {
	const world = pagesOfWorker();
	/** @type {import("playwright-core").Page} */
	let page;
	beforeEach(() => open());

	async function open(options, fragment = "") {
		await page?.context().close();
		page = await world.open(options, fragment);
		page.setDefaultTimeout(RUN_TIMEOUT_MS);
	}

	const measure = async (choice) => {
		await page.getByRole("tab", { name: "Run" }).click();
		return measured(page, choice);
	};

	/** Follows the link of what was measured. */
	const see = () => page.locator("#run-state").getByRole("link", { name: "See the results" }).click();

	async function exported() {
		const download = page.waitForEvent("download");
		await page.getByText("Export", { exact: true }).click();
		await page.getByRole("button", { name: "Download JSON" }).click();
		return (await download).path();
	}

	test("two runs are compared with what exceeds the noise, and each goes out and comes back as a file and as a link", async () => {
		await openSetup(page);
		await page.getByLabel("L2").selectOption("none");
		await measure({ only: ["mixed_workload"], repeats: 3, scale: "0.1" });
		await page.getByLabel("Delay").fill("500");
		const slow = await measure({ only: ["mixed_workload"], repeats: 3, scale: "0.1" });
		await see();
		await page.locator(`#results[data-run="${slow.id}"]`).waitFor();
		await page.locator("#compared-run").selectOption({ index: 1 });
		await page.locator("#compared summary", { hasText: "mixed_workload" }).click();
		const median = page.getByRole("table", { name: /Differences/ }).getByRole("row", { name: /^Median/ });
		assert.match(await median.innerText(), /\+[\d.]+ %\t.*worse/);

		const file = await exported();
		const written = JSON.parse(readFileSync(file, "utf8"));
		assert.deepEqual([written.schema, written.version, written.id], ["featheredge-benchmark", 2, slow.id]);
		await page.getByRole("button", { name: "Share link" }).click();
		await page.getByText("in the address bar").last().waitFor();
		const link = page.url();
		await page.locator("#chosen-run").selectOption(slow.id);
		await page.getByRole("button", { name: "Delete" }).click();
		await page.locator(`#results:not([data-run="${slow.id}"])`).waitFor();

		await page.locator("#import-file").setInputFiles(file);
		await page.locator(`#results[data-run="${slow.id}"]`).waitFor();

		// Who gets the link sees the run, and keeps nothing unasked.
		await open({}, new URL(link).hash);
		await page.locator(`#results[data-run="${slow.id}"]`).waitFor();
		assert.match(
			await page
				.getByRole("row", { name: /^mixed_workload/ })
				.first()
				.innerText(),
			/\b150\b/,
		);
		await page.getByRole("button", { name: "Save" }).click();
		await page.getByRole("button", { name: "Delete" }).waitFor();
	});

	test("results fit a sheet of A4, and are printed light whatever the page is", async () => {
		await open({ colorScheme: "dark" });
		await measure({ only: ["mixed_workload", "composed"], scale: "0.1" });
		await see();
		await page.locator("#results canvas").nth(3).waitFor();
		await page.emulateMedia({ media: "print", colorScheme: "dark" });
		await page.setViewportSize({ width: 794, height: 1123 });
		const look = (event) =>
			page.evaluate((event) => {
				dispatchEvent(new Event(event));
				const { colorScheme } = getComputedStyle(document.documentElement);
				return { isLight: colorScheme === "light", excess: document.documentElement.scrollWidth - innerWidth };
			}, event);
		assert.deepEqual(await look("beforeprint"), { isLight: true, excess: 0 });
		await page.emulateMedia({ media: "screen" });
		assert.equal((await look("afterprint")).isLight, false);
	});
});
