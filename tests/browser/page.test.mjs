// The page in a real Chromium, served by the Worker with the synthetic origin.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { violations } from "./axe.mjs";
import { LOOKS, pagesOfWorker, skip } from "./pages.mjs";

/** The views of the answer that are looked at, by example. */
const SCENES = {
	Native: ["JSON", "Headers", "Values"],
	"Feast, batch": ["Values"],
	Embedding: ["Values"],
	Stream: ["Lines"],
};

describe("the page", { skip, timeout: 120_000 }, () => {
	const world = pagesOfWorker();
	/** @type {import("playwright-core").Page} */
	let page;
	let requests;
	beforeEach(() => open());

	async function open(options) {
		await page?.context().close();
		requests = [];
		const prepare = (page) => page.on("request", (request) => requests.push(request.url()));
		page = await world.open(options, "#try", { prepare });
		await page.locator("#readiness[data-state=ready]").waitFor();
	}

	async function send() {
		const answered = page.waitForResponse((response) => response.request().method() === "POST");
		await page.getByRole("button", { name: /^Send/ }).click();
		const response = await answered;
		await page.locator("#answer:not([aria-busy])").waitFor();
		return response;
	}

	/** Writes a native request for an entity that no other test asks for. */
	async function askFor(entity) {
		const body = page.getByLabel("Body", { exact: true });
		await body.fill((await body.inputValue()).replaceAll(/"entity_(\d)/g, `"${entity}_$1`));
	}

	const fact = (name) => page.locator(".facts > div", { hasText: name }).locator("dd").innerText();
	const choose = (example) => page.getByRole("radio", { name: example, exact: true }).check({ force: true });

	test("the default request shows each value with its tier, age and status", async () => {
		await askFor("first");
		assert.equal((await send()).status(), 200);
		assert.match(await fact("Status"), /^200/);
		const row = page.getByRole("row", { name: /risk_score/ }).first();
		assert.match(await row.innerText(), /\d\.\d+\s+Origin\s+\d+ ms\s+PRESENT/);
		assert.equal(await page.locator("tbody tr").count(), 6);
	});

	test("the second send is answered by L1", async () => {
		await askFor("again");
		await send();
		assert.equal(await fact("Rows"), "2 from the origin");
		await page.getByRole("button", { name: "Send again" }).waitFor();
		await send();
		assert.equal(await fact("Rows"), "2 from L1");
		assert.match(await page.locator("#path li[data-tier=l1]").innerText(), /hit/);
		assert.match(await page.locator("#path li[data-tier=origin]").innerText(), /skipped/);
		assert.match(
			await page
				.getByRole("row", { name: /purchase_count/ })
				.first()
				.innerText(),
			/L1 memory/,
		);
		assert.match(await page.locator("#announcement").innerText(), /Request 2: status 200 in .* Served by L1 memory/);
	});

	test("a Feast request shows a column for each feature, and the headers in words", async () => {
		await choose("Feast, batch");
		await send();
		const heads = await page.getByRole("columnheader").allInnerTexts();
		assert.equal(heads[0], "driver_id");
		assert.ok(heads.includes("driver_hourly_stats__conv_rate"), heads.join());
		assert.equal(await page.locator("tbody tr").count(), 5);
		await page.getByRole("tab", { name: "Headers" }).click();
		assert.match(
			await page.getByRole("tabpanel", { name: "Headers" }).innerText(),
			/Cache-Status\s+featheredge-l2; fwd=miss; .*\s.*The origin computed the rest\./,
		);
	});

	test("the JSON view keeps every character of the values", async () => {
		await choose("Embedding");
		const response = await send();
		const text = await response.text();
		await page.getByRole("tab", { name: "JSON" }).click();
		const code = page.locator("#view-json code");
		assert.equal((await code.textContent()).replaceAll(/\s/g, ""), text.replaceAll(/\s/g, ""));
		await page.getByLabel("Indent").uncheck();
		assert.equal(await code.textContent(), text);
	});

	test("a body that is no JSON shows where it breaks, before the send and after", async () => {
		await page.getByLabel("Body", { exact: true }).fill('{\n  "entity_ids": [\n}');
		await page.getByText("Invalid JSON: a value is expected, at line 3, column 1.").waitFor();
		const response = await send();
		assert.ok(response.status() >= 400 && response.status() < 500);
		const error = await page.getByRole("group", { name: "Error" }).innerText();
		assert.match(error, new RegExp(`^${response.status()} .*\\n+.+`));
		world.forgiveAnswers();
	});

	test("a Worker that is gone is said to be gone, and the page goes on", async () => {
		await page.route("**/v1/features", (route) => route.abort());
		await page.getByRole("button", { name: /^Send/ }).click();
		await page.getByText("The Worker could not be reached.").first().waitFor();
		await page.unroute("**/v1/features");
		assert.equal((await send()).status(), 200);
		assert.equal(await page.getByRole("group", { name: "Error" }).count(), 0);
		world.forgiveAnswers();
	});

	test("all of it works by keyboard alone", async () => {
		await page.getByLabel("Body", { exact: true }).focus();
		await page.keyboard.press("Control+Enter");
		await page.getByRole("tab", { name: "Values" }).focus();
		await page.keyboard.press("ArrowRight");
		assert.equal(await page.getByRole("tab", { name: "JSON" }).getAttribute("aria-selected"), "true");
		await page.keyboard.press("End");
		assert.ok(await page.getByRole("tabpanel", { name: "Headers" }).isVisible());
	});

	test("nothing is asked of another origin, and the policy forbids it", async () => {
		await send();
		const strangers = requests.filter((url) => new URL(url).origin !== new URL(world.worker.url).origin);
		assert.deepEqual(strangers, []);
		const response = await fetch(`${world.worker.url}/`);
		const policy = response.headers.get("content-security-policy") ?? "";
		assert.match(policy, /default-src 'self'/);
		assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval(?<!wasm-unsafe-eval)/);
		const markup = await response.text();
		assert.doesNotMatch(markup, /<style|style=|<script(?![^>]*src=)| on[a-z]+=/);
	});

	for (const { colorScheme, viewport } of [LOOKS[0], LOOKS.at(-1)]) {
		test(`axe finds nothing in ${colorScheme} at ${viewport.width} px, and nothing sticks out`, async () => {
			await open({ colorScheme, viewport });
			assert.deepEqual(await violations(page), []);
			for (const [example, tabs] of Object.entries(SCENES)) {
				await choose(example);
				await send();
				for (const tab of tabs) {
					await page.getByRole("tab", { name: tab }).click();
					assert.deepEqual(await violations(page), [], `${example}, ${tab}`);
					const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
					assert.ok(excess <= 0, `${example}, ${tab}: ${excess} px too wide`);
				}
			}
		});
	}
});
