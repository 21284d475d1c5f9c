// The page's addresses: tabs as entries of the history, and a running measurement that is not lost by a slip.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RUN_TIMEOUT_MS } from "../support/measurement.mjs";
import { pagesOfWorker, skip } from "./pages.mjs";

describe("navigation in the page", { skip, timeout: 300_000 }, () => {
	const world = pagesOfWorker();
	const shown = (page) => page.locator("[role=tabpanel].page:visible").getAttribute("id");

	test("each tab is an entry of the history, with its title and its address", async () => {
		const page = await world.open();
		for (const [name, hash] of [
			["Results", "#results"],
			["Live", "#live"],
			["Try", "#try"],
			["Run", "#run"],
		]) {
			await page.getByRole("tab", { name, exact: true }).click();
			assert.equal(new URL(page.url()).hash, hash);
			if (name !== "Run") assert.equal(await page.title(), `${name} · Featheredge`);
		}
		for (const [id, hash] of [
			["page-try", "#try"],
			["page-live", "#live"],
			["page-results", "#results"],
			["page-run", ""],
		]) {
			await page.goBack();
			await page.locator(`#${id}`).waitFor();
			assert.deepEqual([await shown(page), new URL(page.url()).hash], [id, hash]);
		}
		await page.goForward();
		assert.equal(await shown(page), "page-results");
		assert.equal(await page.locator("h1").count(), 1);
	});

	test("the link to the content moves the focus, and leaves the tab and the address", async () => {
		const page = await world.open({}, "#live");
		await page.locator("#skip").focus();
		await page.keyboard.press("Enter");
		assert.deepEqual(
			[await page.evaluate(() => document.activeElement.id), new URL(page.url()).hash, await shown(page)],
			["main", "#live", "page-live"],
		);
	});

	test("a running measurement goes on while another tab is open, and asks before the page is left", async () => {
		const page = await world.open();
		await page.locator("#start").click();
		await page.getByRole("tab", { name: "Results" }).click();
		assert.equal(await page.locator("#tab-run[data-running]").count(), 1);
		const asked = page.waitForEvent("dialog");
		const left = page.evaluate(() => location.reload()).catch(() => {});
		const dialog = await asked;
		assert.equal(dialog.type(), "beforeunload");
		await dialog.dismiss();
		await left;
		await page.goBack();
		await page.locator("#first[data-state=measured]").waitFor({ timeout: RUN_TIMEOUT_MS });
		assert.equal(await page.locator("#tab-run[data-running]").count(), 0);
		// Nothing runs: nothing is asked.
		page.on("dialog", (dialog) => assert.fail(dialog.type()));
		await page.reload();
	});
});
