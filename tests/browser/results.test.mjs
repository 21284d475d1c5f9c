// The tab Results in a real Chromium: what a run shows, baselines, names, exports, links, and what is refused.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { violations } from "./axe.mjs";
import { pagesOfWorker, skip } from "./pages.mjs";
import { fileOf, recorded } from "./recorded.mjs";

const MEBIBYTE = 1024 * 1024;
const WIDTHS = [320, 390, 768, 1280, 1440, 3840];

/** Texts whose boxes overlap, and what is wider than its place. */
function faultsOfLayout() {
	// As if each part had been scrolled to: until then it is not laid out.
	for (const details of document.querySelectorAll(".details")) details.style.contentVisibility = "visible";
	const texts = [];
	const walker = document.createTreeWalker(document.getElementById("page-results"), NodeFilter.SHOW_TEXT);
	for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
		const parent = node.parentElement;
		if (node.data.trim() === "" || !parent.checkVisibility({ visibilityProperty: true })) continue;
		if (parent.closest(".hidden, option, select, .stacking thead, .readout")) continue;
		const range = document.createRange();
		range.selectNodeContents(node);
		for (const { left, right, top, bottom } of range.getClientRects()) {
			// Letters do not fill their line.
			const rest = (bottom - top) * 0.2;
			if (right - left > 1) texts.push({ text: node.data.trim(), left, right, top: top + rest, bottom: bottom - rest });
		}
	}
	const overlaps = texts.flatMap((one, index) =>
		texts
			.slice(index + 1)
			.filter((other) => one.left + 1 < other.right && other.left + 1 < one.right)
			.filter((other) => one.top < other.bottom && other.top < one.bottom)
			.map((other) => `“${one.text}” and “${other.text}”`),
	);
	const cut = [...document.querySelectorAll("#results .table")]
		.filter(({ clientWidth, scrollWidth }) => clientWidth > 0 && scrollWidth > clientWidth)
		.map((table) => `cut: ${table.ariaLabel}`);
	const excess = document.documentElement.scrollWidth - innerWidth;
	return [...overlaps, ...cut, ...(excess > 0 ? [`${excess} px too wide`] : [])];
}

describe("results", { skip, timeout: 900_000 }, () => {
	const world = pagesOfWorker();

	async function load(page, run, name) {
		await page.locator("#import-file").setInputFiles(fileOf(run, name));
		await page.locator(`#results[data-run="${run.id}"]`).waitFor();
		await page.locator("#details-stress_test").waitFor();
	}

	async function open(options, ...runs) {
		const page = await world.open(options, "#results");
		for (const run of runs) await load(page, run);
		return page;
	}

	const message = (page, words) => page.locator("#results-message").getByText(words).waitFor();

	for (const width of WIDTHS) {
		test(`no text lies over another, and no table is cut, at ${width} px`, async () => {
			const baseline = recorded({ id: "recorded-0", name: "Before the change", buckets: "wide" });
			const page = await open({ viewport: { width, height: 900 } }, baseline);
			await page.getByRole("button", { name: "Make this the baseline" }).click();
			await load(page, recorded());
			await page.locator("#compared .sentence").waitFor();
			await page.locator("#compared details").evaluateAll((all) => {
				for (const one of all) one.open = true;
			});
			assert.deepEqual(await page.evaluate(faultsOfLayout), []);
		});
	}

	for (const options of [{ colorScheme: "light" }, { colorScheme: "dark" }, { forcedColors: "active" }]) {
		test(`axe finds nothing in ${Object.values(options)[0]} colours`, async () => {
			const page = await open(options, recorded());
			assert.deepEqual(await violations(page), []);
			await page.setViewportSize({ width: 320, height: 640 });
			assert.deepEqual(await violations(page), []);
		});
	}

	test("a run says what was measured, what was not, and why targets are missed", async () => {
		const page = await open({}, recorded());
		const summary = page.getByRole("table", { name: "Scenarios and their figures" });
		const cells = async (name) => (await summary.getByRole("row", { name }).innerText()).split("\t");
		assert.equal(await summary.getByRole("row").count(), 8);
		const nothing = await cells(/^stress_test/);
		assert.deepEqual(nothing.slice(3, 8), ["–", "–", "–", "–", "–"], "a figure that was not measured is no 0");
		assert.deepEqual((await cells(/^popular_load – the origin/)).slice(1, 3), ["–", "the origin"]);
		const cold = page.getByRole("region", { name: "low_latency_individual, cold caches", exact: true });
		// What has not been scrolled to is not laid out, and has no words yet.
		await cold.evaluate((region) => region.scrollIntoView());
		const laidOut = await page.waitForFunction((region) => region.innerText, await cold.elementHandle());
		const words = await laidOut.jsonValue();
		assert.match(words, /21 × origin-timeout\s+The origin did not answer within 5,000 ms\./);
		assert.match(words, /Slow requests, over 100 ms\s+36 requests/);
		assert.match(words, /900 rows, 1 MiB of 64 MiB: 10 % of its room is left\. [\d,]+ evictions/);
		assert.match(words, /Origin calls per 1,000 requests/);
		for (const missed of await cold.locator("[data-verdict=missed]").all())
			assert.match(await missed.locator(".reason").innerText(), /\w{3}.*\.$/);
		await page
			.getByRole("region", { name: "stress_test, cold caches", exact: true })
			.getByText("Stopped early")
			.waitFor();
	});

	test("all percentiles are in one chart, with their values under the pointer and by keyboard", async () => {
		const page = await open({}, recorded());
		const chart = page.getByRole("slider", { name: "Values of Percentiles of all scenarios" });
		assert.equal(await page.locator(".overview-row").count(), 6);
		await chart.focus();
		await page.keyboard.press("End");
		assert.match(await chart.getAttribute("aria-valuetext"), /^stress_test, cold caches: p50 –/);
		await page.keyboard.press("Home");
		assert.match(await chart.getAttribute("aria-valuetext"), /^popular_load, warm caches: p50 [\d.]+ [µm]s, p95/);
	});

	test("a run becomes the baseline, and others are compared with it, after a reload, too", async () => {
		const baseline = recorded({ id: "recorded-0", name: "Before the change", buckets: "wide" });
		baseline.environment.settings[1].value = "20";
		const page = await open({}, baseline);
		await page.getByRole("button", { name: "Make this the baseline" }).click();
		await message(page, "Other runs are now compared with this one.");
		await load(page, recorded());
		await page.reload();
		await page.getByRole("heading", { name: /^Against the baseline: Before the change/ }).waitFor();
		const changes = page.getByRole("table", { name: "Verdicts and changes by scenario" });
		await changes.waitFor();
		assert.match(
			await changes.getByRole("row", { name: /^low_latency_individual cold/ }).innerText(),
			/(better|worse).*[+−][\d.]+ %/s,
		);
		assert.match(await changes.getByRole("row", { name: /^mixed_workload/ }).innerText(), /within the noise/);
		const settings = page.getByRole("table", { name: "Settings of both runs" });
		assert.match(await settings.getByRole("row", { name: /^delay_ms/ }).innerText(), /20\s+10\s+≠ differs/);
		assert.doesNotMatch(await settings.getByRole("row", { name: /^l2/ }).innerText(), /differs/);
		await page.locator("#compared summary", { hasText: "low_latency_individual, cold" }).click();
		const median = page
			.getByRole("table", { name: /^Differences of low_lat.*cold/ })
			.getByRole("row", { name: /^Median/ });
		assert.match(await median.innerText(), /[+−][\d.]+ %\s+[+−]?[\d.]+ % to [+−]?[\d.]+ %\s+.*(better|worse)/);
		await page.getByLabel("Compare with").selectOption("");
		await page.locator("#compared").waitFor({ state: "hidden" });
	});

	test("runs that measured different things say so", async () => {
		const other = recorded({ id: "recorded-0" });
		other.scenarios[4].scenario.concurrency = 99;
		other.scenarios = other.scenarios.slice(1);
		const page = await open({}, other, recorded());
		await page.getByLabel("Compare with").selectOption("recorded-0");
		await page.getByText("Not the same load, so figures cannot be compared: mixed_workload, cold caches.").waitFor();
		await page.getByText("Only in this run: popular_load, warm caches.").waitFor();
	});

	test("a run's name and notes are edited in place, and stay", async () => {
		const page = await open({}, recorded());
		await page.getByRole("button", { name: "Edit name and notes" }).click();
		await page.getByLabel("Name", { exact: true }).fill("Larger cache");
		await page.getByLabel("Notes").fill("<b>L1</b> of 64 MiB");
		await page.getByRole("button", { name: "Save name and notes" }).click();
		await page.getByRole("heading", { name: "Larger cache" }).waitFor();
		await page.reload();
		await page.getByRole("heading", { name: "Larger cache" }).waitFor();
		await page.getByText("<b>L1</b> of 64 MiB").waitFor();
		assert.match(await page.locator("#chosen-run option").first().innerText(), /^Larger cache/);
	});

	test("a run goes out as JSON, CSV and Markdown, as files and by the clipboard", async () => {
		const page = await open({ permissions: ["clipboard-read", "clipboard-write"] }, recorded());
		const menu = page.getByText("Export", { exact: true });
		for (const [name, ending, begin] of [
			["JSON", "json", /^\s*\{/],
			["CSV", "csv", /^\w+,/],
			["Markdown", "md", /\|.*\|/],
		]) {
			await menu.click();
			const download = page.waitForEvent("download");
			await page.getByRole("button", { name: `Download ${name}` }).click();
			const file = await download;
			assert.equal(file.suggestedFilename(), `featheredge-recorded-1.${ending}`);
			const text = readFileSync(await file.path(), "utf8");
			assert.match(text, begin);
			assert.match(text, /low_latency_individual/);
			await menu.click();
			await page.getByRole("button", { name: `Copy ${name}` }).click();
			await message(page, `${name} is copied.`);
			assert.equal((await page.evaluate(() => navigator.clipboard.readText())).trim(), text.trim());
		}
	});

	test("a link carries a run to another browser, which keeps it only when asked", async () => {
		const page = await open({}, recorded({ name: "Shared" }));
		await page.getByRole("button", { name: "Share link" }).click();
		await message(page, /in the address bar/);
		const { hash } = new URL(page.url());
		const other = await world.open({}, hash);
		await other.getByRole("heading", { name: "Shared" }).waitFor();
		assert.equal(await other.locator(".overview-row").count(), 6);
		await other.getByRole("button", { name: "Save" }).click();
		await other.getByRole("button", { name: "Delete" }).click();
		await other.getByText("No runs yet.").waitFor();
	});

	test("a run that this browser does not have is named, and no other is shown in its place", async () => {
		const page = await open({}, recorded());
		await page.evaluate(() => {
			location.hash = "#results=elsewhere";
		});
		await message(page, "This browser does not have the run elsewhere.");
		assert.equal(await page.locator(".overview").count(), 0);
		await page.locator("#chosen-run").selectOption("recorded-1");
		await page.locator(".overview").waitFor();
		await page.goBack();
		await message(page, "This browser does not have the run elsewhere.");
	});

	for (const [name, fragment, words] of [
		["a broken escape", "#results=%", "This address names no run."],
		["letters of no link", "#results=shared:xyz", /This link has no valid run: it is damaged/],
		["a character that no link has", "#results=shared:%é", /This link has no valid run: it is damaged/],
		["an empty link", "#results=shared:", /This link has no valid run/],
		[
			"a link of something else",
			`#results=shared:${deflateRawSync('{"schema":"x"}').toString("base64url")}`,
			/This link has no valid run/,
		],
	]) {
		test(`${name} in the address gets a message`, async () => {
			const page = await world.open({}, fragment);
			await message(page, words);
			assert.equal(await page.locator(".overview").count(), 0);
		});
	}

	test("a small link that unpacks to hundreds of megabytes stops at 8 MiB", async () => {
		const bomb = deflateRawSync(Buffer.alloc(700 * MEBIBYTE, " ")).toString("base64url");
		const page = await world.open({}, "#results");
		await page.evaluate((bomb) => {
			location.hash = `#results=shared:${bomb}`;
		}, bomb);
		await message(page, /it unpacks to more than 8 MiB/);
		// The page is alive.
		await load(page, recorded());
	});

	test("files that are no runs, or too large, are refused in plain words", async () => {
		const page = await open({}, recorded());
		for (const [text, words] of [
			["no JSON", /^bad\.json has no valid run: /],
			['{"schema":"x"}', /^bad\.json has no valid run: /],
			[" ".repeat(8 * MEBIBYTE + 1), "bad.json has no valid run: it is larger than 8 MiB."],
		]) {
			await page.locator("#import-file").setInputFiles(fileOf(text, "bad.json"));
			await message(page, words);
			const said = await page.locator("#results-message").innerText();
			assert.doesNotMatch(said, /Unexpected token|missing field|invalid type|at line \d/);
			await page.locator("#results-message").evaluate((place) => place.replaceChildren());
		}
		assert.equal(await page.locator("#results").getAttribute("data-run"), "recorded-1", "what was shown stays");
	});

	test("an import is kept and shown, however old it is and however many runs there are", async () => {
		const page = await open({}, recorded());
		const old = recorded({ id: "ancient", started_at: "1999-01-01T00:00:00Z" });
		// Small ones, since there are many.
		const scenarios = recorded().scenarios.slice(-1);
		for (let number = 0; number < 100; number++) {
			await page.locator("#import-file").setInputFiles(fileOf(recorded({ id: `run-${number}`, scenarios })));
			await page.locator(`#results[data-run="run-${number}"]`).waitFor();
		}
		await load(page, old);
		await page.reload();
		await page.locator('#results[data-run="ancient"]').waitFor();
		assert.equal(await page.locator("#chosen-run option").count(), 100);
	});
});
