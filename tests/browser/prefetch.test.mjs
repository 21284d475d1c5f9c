// What the Live page shows of a Worker that fetches ahead.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { range } from "../support/features.mjs";
import { violations } from "./axe.mjs";
import { pagesOfWorker, skip } from "./pages.mjs";

/** As many as leave some sessions to be held out, to compare with. */
const SESSIONS = 120;

describe("prefetch in the Live page", { skip, timeout: 180_000 }, () => {
	const world = pagesOfWorker({ vars: { prefetch: { holdout_percent: 20 } } });

	const ask = async (feature, session) => {
		const request = { entity_ids: [`e${session}`], feature_names: [feature], session_id: `s${session}` };
		await (await world.worker.post("/v1/features", request)).text();
	};

	test("rows that sessions let expect are seen to be fetched, used, compared and paid for", async () => {
		for (const session of range(SESSIONS)) {
			await ask("profile", session);
			// Real time, as where people read a page: what was prefetched is used only if it is there before it is asked for.
			await new Promise((resolve) => setTimeout(resolve, 40));
			await ask("history", session);
		}
		const page = await world.open({}, "#live");
		await page.locator("#live[data-state=shown]").waitFor();
		const panel = page.getByRole("region", { name: "Prefetch", exact: true });
		await panel.getByText("Prefetched", { exact: true }).waitFor();
		const texts = (part) => panel.locator(`dl ${part}`).allInnerTexts();
		const [names, values] = await Promise.all([texts("dt"), texts("dd")]);
		const figures = Object.fromEntries(names.map((name, at) => [name, values[at]]));
		const number = (name) => Number.parseFloat(figures[name]);
		assert.ok(number("Prefetched") > SESSIONS / 2, JSON.stringify(figures));
		assert.ok(number("Used") > 0 && number("Used") <= number("Prefetched"), JSON.stringify(figures));
		for (const share of ["Precision", "Coverage", "Timeliness"]) {
			assert.ok(number(share) > 0 && number(share) <= 100, `${share}: ${figures[share]}`);
		}
		assert.deepEqual(await violations(page), []);
	});
});
