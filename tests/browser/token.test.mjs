// The page of a deployment that wants a token of those who ask it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { measure, openSetup } from "../support/measurement.mjs";
import { violations } from "./axe.mjs";
import { PHONE, pagesOfWorker, skip } from "./pages.mjs";

const TOKEN = "of-the-reader";
const TOKENS = { reader: { sha256: createHash("sha256").update(TOKEN).digest("hex"), scopes: ["read"] } };

describe("the page of a deployment that wants a token", { skip, timeout: 300_000 }, () => {
	const world = pagesOfWorker({
		vars: { auth: { mode: "tokens" } },
		secrets: { FEATHEREDGE_TOKENS: JSON.stringify(TOKENS) },
	});

	async function enter(page, token) {
		await page.getByLabel("The bearer token of this deployment").fill(token);
		await page.getByRole("button", { name: "Use", exact: true }).click();
	}

	async function opened(options) {
		const page = await world.open(options, "#live");
		await page.getByText("This deployment asks for a token").waitFor();
		world.forgiveAnswers();
		return page;
	}

	test("a reader without the scope is refused, and led to where a token is entered", async () => {
		const page = await opened();
		assert.ok(await page.getByRole("heading", { name: "SLO" }).isHidden(), "there is nothing to show");
		assert.deepEqual(await violations(page), []);
		await page.getByRole("button", { name: "Enter a token" }).click();
		assert.equal(await page.evaluate(() => document.activeElement.id), "token-field");
		await enter(page, TOKEN);
		await page.locator("#live[data-state=shown]").waitFor();
		await page.locator("#live-message:empty").waitFor({ state: "attached" });
		world.forgiveAnswers();
	});

	test("a token that is not good is refused in the Worker's words", async () => {
		const page = await opened();
		await page.getByRole("button", { name: "Enter a token" }).click();
		await enter(page, "guessed");
		await page.getByText("The server says: the token is not known.").waitFor();
		world.forgiveAnswers();
	});

	test("a token that no header takes is refused, and the scheme before one is left out", async () => {
		const page = await opened();
		await page.getByRole("button", { name: "Enter a token" }).click();
		await enter(page, "of-the-reader…");
		const message = await page.locator("#token-field").evaluate((field) => field.validationMessage);
		assert.match(message, /ASCII/);
		assert.equal(await page.evaluate(() => sessionStorage.length), 0, "it is not kept");
		await enter(page, `Bearer ${TOKEN}`);
		await page.locator("#live[data-state=shown]").waitFor();
		world.forgiveAnswers();
	});

	test("a token outlives a reload, belongs to its tab alone, and goes when it is forgotten", async () => {
		const page = await opened();
		await page.getByRole("button", { name: "Enter a token" }).click();
		await enter(page, TOKEN);
		await page.locator("#live[data-state=shown]").waitFor();
		await page.reload();
		await page.locator("#live[data-state=shown]").waitFor();
		const kept = await page.evaluate(() => [Object.values(localStorage), document.cookie, location.href]);
		assert.ok(!JSON.stringify(kept).includes(TOKEN));
		const other = await page.context().newPage();
		await other.goto(`${world.worker.url}/#live`);
		await other.getByText("This deployment asks for a token").waitFor();
		await page.getByText("Token", { exact: true }).click();
		await page.getByRole("button", { name: "Forget" }).click();
		await page.getByText("This deployment asks for a token").waitFor();
		world.forgiveAnswers();
	});

	test("a token is sent by Try and by a run against this deployment, and is no part of the run's export", async () => {
		const page = await world.open({}, "#try");
		await page.locator("#readiness[data-state=ready]").waitFor();
		await page.getByRole("button", { name: /^Send/ }).click();
		await page.getByRole("group", { name: "Error" }).getByRole("button", { name: "Enter a token" }).click();
		await enter(page, TOKEN);
		await page.getByRole("button", { name: /^Send/ }).click();
		await page
			.getByRole("row", { name: /risk_score/ })
			.first()
			.waitFor();
		world.forgiveAnswers();

		await page.getByRole("tab", { name: "Run" }).click();
		await openSetup(page);
		for (const [target, url] of [["This deployment"], ["Another URL", world.worker.url]]) {
			if (url !== undefined) {
				await page.getByLabel(target, { exact: true }).check();
				await page.getByLabel("URL", { exact: true }).fill(url);
				await page.getByLabel(/^Bearer token/).fill(TOKEN);
			}
			await measure(page, { only: ["mixed_workload"], scale: "0.1", target });
			await page.locator("#run-state").getByRole("link", { name: "See the results" }).click();
			const line = page.locator("#results").getByRole("row", { name: /^mixed_workload/ });
			assert.match(await line.innerText(), /\b50\s+0\s/, "all were answered");
			const download = page.waitForEvent("download");
			await page.getByText("Export", { exact: true }).click();
			await page.getByRole("button", { name: "Download JSON" }).click();
			assert.ok(!readFileSync(await (await download).path(), "utf8").includes(TOKEN));
			await page.getByRole("tab", { name: "Run" }).click();
		}
	});

	for (const [colorScheme, viewport] of [
		["light", undefined],
		["dark", PHONE],
	]) {
		test(`axe finds nothing in the ${colorScheme} field, Escape closes it, and nothing sticks out`, async () => {
			const page = await opened({ colorScheme, ...(viewport && { viewport }) });
			await page.getByText("Token", { exact: true }).focus();
			await page.keyboard.press("Enter");
			await page.getByLabel("The bearer token of this deployment").waitFor();
			assert.deepEqual(await violations(page), []);
			const [left, excess] = await page.evaluate(() => [
				document.getElementById("token-form").getBoundingClientRect().left,
				document.documentElement.scrollWidth - innerWidth,
			]);
			assert.ok(left >= 0 && excess <= 0, `${left}, ${excess}`);
			await page.keyboard.press("Escape");
			assert.ok(await page.getByLabel("The bearer token of this deployment").isHidden());
		});
	}
});
