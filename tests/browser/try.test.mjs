// Try in a real Chromium, before an origin that waits, fails and is asked for a stream.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { answerFeatures } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startWorker } from "../support/worker.mjs";
import { violations } from "./axe.mjs";
import { PHONE, pagesOfWorker, skip } from "./pages.mjs";

/** Longer than the test waits for anything: it ends by *Cancel*, or because the test lets go on. */
const PATIENCE_MS = 60_000;

describe("Try", { skip, timeout: 180_000 }, () => {
	const world = pagesOfWorker();
	/** @type {import("../support/origin.mjs").Origin} */
	let origin;
	/** @type {import("../support/worker.mjs").TestWorker} */
	let worker;
	/** @type {import("playwright-core").Page} */
	let page;
	before(async () => {
		origin = await startOrigin(answerFeatures);
		const deadlines = { default_ms: PATIENCE_MS, adaptive_timeouts: false };
		const vars = { deadlines, origin: { timeout_ms: PATIENCE_MS }, routing: { real_time_deadline_ms: PATIENCE_MS } };
		worker = await startWorker({ origin, vars });
	});
	after(async () => {
		await worker?.stop();
		await origin?.stop();
	});
	beforeEach(async () => {
		origin.answer(answerFeatures);
		await open();
	});

	async function open(options, url = worker.url) {
		page = await world.open(options, "#try", { url });
		await page.locator("#presets input").first().waitFor({ state: "attached" });
	}

	const choose = (example) => page.getByRole("radio", { name: example, exact: true }).check({ force: true });
	const write = (request) => page.getByLabel("Body", { exact: true }).fill(JSON.stringify(request));
	const press = (name) => page.getByRole("button", { name }).click();
	const isAnswered = () => page.locator("#answer:not([aria-busy])").waitFor();
	const error = () => page.getByRole("group", { name: "Error" });
	const native = (ids, more) => ({ entity_ids: ids, feature_names: ["score"], include: ["status", "tier"], ...more });

	/** Has the origin hold what it is asked, until the returned function is called. */
	function hold() {
		let letGo;
		const released = new Promise((resolve) => {
			letGo = resolve;
		});
		origin.answer(async (request) => {
			await released;
			return answerFeatures(request);
		});
		return letGo;
	}

	test("a request that takes long says so at once, with its time, and can be cancelled", async () => {
		const letGo = hold();
		await write(native(["slow"]));
		await press(/^Send/);
		await page.locator("#answer[aria-busy=true]").waitFor();
		assert.match(await page.getByRole("button", { name: /^Sending/ }).getAttribute("aria-disabled"), /true/);
		await page.waitForFunction(() => Number.parseFloat(document.getElementById("elapsed").textContent) > 200);
		assert.deepEqual(await violations(page), []);
		await press("Cancel");
		await isAnswered();
		assert.match(await error().innerText(), /No response\s+You cancelled the request after [\d.]+ m?s\./);
		assert.ok(await page.getByRole("button", { name: "Cancel" }).isHidden());
		assert.equal(await page.evaluate(() => document.activeElement.id), "send", "the focus stays in place");
		letGo();
		await press(/^Send/);
		await page.getByRole("row", { name: /score/ }).waitFor();
	});

	test("the lines of a stream appear as they come, each with its time", async () => {
		await worker.post("/v1/features", native(["known"]));
		const letGo = hold();
		await choose("Stream");
		await write(native(["known", "unknown"]));
		await press(/^Send/);
		const lines = page.locator("#view-lines li");
		await lines.first().waitFor();
		assert.equal(await lines.count(), 1, "what memory has comes before the origin has answered");
		assert.match(await lines.first().innerText(), /^[\d.]+ (ms|s)\s+\{"entity":"known"/);
		assert.equal(await page.locator("#answer").getAttribute("aria-busy"), "true");
		letGo();
		await isAnswered();
		assert.equal(await lines.count(), 3);
		assert.match(await lines.last().innerText(), /The last line, about the request/);
		const rows = page.locator(".facts > div", { hasText: "Rows" }).locator("dd");
		assert.equal(await rows.innerText(), "1 from L1, 1 from the origin");
		assert.match(await page.locator("#path li[data-tier=l1]").innerText(), /partial hit/);
		assert.match(await page.locator("#path li[data-tier=origin]").innerText(), /computed/);
		await page.getByRole("tab", { name: "Values" }).click();
		assert.match(await page.getByRole("row", { name: /^unknown/ }).innerText(), /score of unknown.*Origin/s);
		await choose("Native");
		await press(/^Send/);
		await page.locator("#tab-lines").waitFor({ state: "hidden" });
	});

	test("a stream that is cancelled keeps the lines that came", async () => {
		await worker.post("/v1/features", native(["kept"]));
		const letGo = hold();
		await choose("Stream");
		await write(native(["kept", "never"]));
		await press(/^Send/);
		await page.locator("#view-lines li").first().waitFor();
		await press("Cancel");
		await page.getByText("The response is incomplete").waitFor();
		assert.equal(await page.locator("#view-lines li").count(), 1);
		letGo();
	});

	test("each value that is not simply there says why", async () => {
		await worker.post("/v1/features", native(["there"]));
		origin.answer({ status: 503, json: { detail: "down" } });
		await write(native(["there", "gone"]));
		await press(/^Send/);
		const gone = page.getByRole("row", { name: /^gone/ });
		assert.match(await gone.innerText(), /INVALID\s*The origin responded with status 503, and no tier had the value\./);
		await page.getByText("Served in part: the origin failed", { exact: true }).waitFor();
		assert.doesNotMatch(await page.getByRole("row", { name: /^there/ }).innerText(), /origin/i);
		await choose("Stream");
		await write(native(["there", "gone too"]));
		await press(/^Send/);
		await isAnswered();
		await page.getByRole("tab", { name: "Values" }).click();
		assert.match(await page.getByRole("row", { name: /^gone too/ }).innerText(), /INVALID\s*Cause: .+, and no tier/);
		assert.deepEqual(await violations(page), []);
	});

	test("a body that is refused is explained in plain words, with the place", async () => {
		for (const [example, body, expected] of [
			["Native", '{\n"entity_ids": [}', /422 The body is not valid JSON\s.*at line 2, column 16\./s],
			[
				"Native",
				'{"entity_ids": ["a"], "feature_names": ["b"], "priority": "urgent"}',
				/`body.priority`: `urgent` is none of/,
			],
			["Feast", "{}", /The field entities is missing\./],
			["Feast", "[]", /The body must be an object in braces\./],
		]) {
			await choose(example);
			await page.getByLabel("Body", { exact: true }).fill(body);
			await press(/^Send/);
			await isAnswered();
			assert.match(await error().innerText(), expected, body);
		}
		world.forgiveAnswers();
	});

	test("the error of a missing token says where one comes from, and that of a wrong one what to check", async () => {
		const closed = await startWorker({
			origin,
			vars: { auth: { mode: "tokens" } },
			secrets: { FEATHEREDGE_TOKENS: "{}" },
		});
		try {
			await open({ viewport: PHONE }, closed.url);
			await press(/^Send/);
			await error().waitFor();
			assert.match(await error().innerText(), /scope `read`.*Its operator issues tokens: .*FEATHEREDGE_TOKENS/s);
			await press("Enter a token");
			await page.getByLabel("The bearer token of this deployment").fill("guessed");
			await page.getByRole("button", { name: "Use", exact: true }).click();
			await press(/^Send/);
			await page.getByText("Check that it is complete, not expired, and of this deployment.").waitFor();
			assert.match(await error().innerText(), /the token is not known/);
			assert.deepEqual(await violations(page), []);
		} finally {
			await closed.stop();
		}
		world.forgiveAnswers();
	});
});
