// The Live page in a real Chromium, with the Worker's own account.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";
import { violations } from "./axe.mjs";
import { pagesOfWorker, skip } from "./pages.mjs";

const REQUEST = { entity_ids: ["a", "b", "c"], feature_names: ["score"] };

describe("the Live page", { skip, timeout: 180_000 }, () => {
	const world = pagesOfWorker();

	const visit = (options, more) => world.open(options, "#live", more);

	async function open(...how) {
		const page = await visit(...how);
		await page.locator("#live[data-state=shown]").waitFor();
		return page;
	}

	const cell = async (page, table, line, column) => {
		const row = page.getByRole("table", { name: table }).getByRole("row", { name: line });
		return (await row.innerText()).split("\t")[column];
	};

	test("requests are seen to arrive, by the tier that answered them", async () => {
		const page = await open();
		const before = Number(await cell(page, "Rows by tier", /^Origin/, 1));
		await world.worker.post("/v1/features", REQUEST);
		await world.worker.post("/v1/features", REQUEST);
		await page.waitForFunction(() => /L1 memory\s+3\b/.test(document.querySelector("#live table").innerText));
		assert.equal(Number(await cell(page, "Rows by tier", /^Origin/, 1)), before + 3);
		const slo = page.getByRole("region", { name: "SLO", exact: true });
		assert.equal(await slo.getByRole("listitem").count(), 5);
		assert.equal(await page.getByRole("table", { name: "Burn rates" }).getByRole("row").count(), 4);
		await page.locator("#live canvas").nth(2).waitFor();
	});

	test("rows travel to their tier as dots, unless the reader wants no motion", async () => {
		const page = await open({ reducedMotion: "no-preference" });
		await world.worker.post("/v1/features", { ...REQUEST, entity_ids: ["d", "e"] });
		await page.locator(".dot").first().waitFor({ state: "attached" });
	});

	test("a Worker that is gone is said to be gone, and asked again", async () => {
		const page = await open();
		await page.route("**/v1/*", (route) => route.abort());
		await page.getByText("The Worker could not be reached. Retrying.").waitFor();
		await page.unroute("**/v1/*");
		await page.locator("#live-message:empty").waitFor({ state: "attached" });
		world.forgiveAnswers();
	});

	test("figures of all isolates need their sum, and who has none is told what to switch on", async () => {
		const page = await open();
		await page.getByLabel("Scope").selectOption("all isolates");
		await page.getByText(/`telemetry.aggregate` is off/).waitFor();
		assert.ok(
			await page.getByText("Hit ratio").first().isHidden(),
			"those of the isolate are not passed off as theirs",
		);
		await page.getByLabel("Scope").selectOption("the isolate that responds");
		await page.locator("#live-message:empty").waitFor({ state: "attached" });
		world.forgiveAnswers();
	});

	test("figures of all isolates are shown without what an isolate alone knows", async () => {
		const summed = await startWorker({
			vars: {
				origin: { kind: "synthetic" },
				telemetry: { aggregate: true },
				sla: { window_seconds: 5, burn_rate_hour_seconds: 30 },
			},
		});
		try {
			const page = await open({}, { url: summed.url });
			assert.ok(await page.getByRole("heading", { name: "Cost" }).isVisible());
			await page.getByLabel("Scope").selectOption("all isolates");
			await page.getByText("All isolates, a tenth of the window behind").waitFor();
			for (const name of ["Cost", "Prefetch", "Optimizer"]) {
				assert.ok(await page.getByRole("heading", { name }).isHidden(), name);
			}
			// A slot is sent when the next one has begun, in the background.
			const isSummed = async () => {
				await summed.post("/v1/features", { ...REQUEST, entity_ids: ["a", "b", `${Date.now()}`] });
				return Number(await cell(page, "Rows by tier", /^Origin/, 1)) >= 3;
			};
			await until(isSummed, { what: "what isolates measured, in the sum", withinMs: 30_000, everyMs: 300 });
			assert.deepEqual(await violations(page), []);
		} finally {
			await summed.stop();
		}
	});

	test("a page that is paused asks for nothing, until it goes on", async () => {
		const page = await open({}, { prepare: (page) => page.clock.install() });
		const pause = page.getByRole("button", { name: "Pause" });
		await pause.click();
		const asked = [];
		page.on("request", (request) => asked.push(request.url()));
		await page.clock.fastForward(60_000);
		const goesOn = page.waitForResponse("**/v1/alerts*");
		await pause.click();
		await goesOn;
		assert.deepEqual(asked, [...new Set(asked)], "it has asked once, as it goes on");
	});

	test("a refresh keeps the focus, and the place to which a table was scrolled", async () => {
		const page = await open({ viewport: { width: 320, height: 700 } });
		const table = page.getByRole("region", { name: "Rows by tier" });
		await table.focus();
		await table.evaluate((element) => (element.scrollLeft = 60));
		await page.waitForResponse("**/v1/alerts*");
		await page.waitForResponse("**/v1/alerts*");
		const [left, name] = await table.evaluate((element) => [element.scrollLeft, document.activeElement.ariaLabel]);
		assert.deepEqual([left, name], [60, "Rows by tier"]);
	});

	/** Lays what is amiss over what the Worker says of itself. */
	const amiss = (page) =>
		page.route("**/v1/*", async (route) => {
			const response = await route.fetch();
			const report = await response.json();
			const opened_at = report.at;
			const of = new URL(route.request().url()).pathname;
			if (of === "/v1/stats") {
				report.stores.l3 = report.stores.l2;
				Object.assign(report.tiers.l2, { breaker_open: 1, operations: 9, operation_errors: 7 });
				Object.assign(report.prefetch, { issued: 40, used: 30, wasted: 6, late: 4, precision: 0.833333 });
			}
			if (of === "/v1/sla") {
				report.status = "violation";
				report.requests = 9;
				report.error_budget_remaining = 0;
				Object.assign(report.details, { p99_compliant: false, current_p99: 480 });
				Object.assign(report.burn_rates[0], { rate: 22.5, is_burning: true });
			}
			if (of === "/v1/alerts") {
				const alert = { status: "open", severity: "high", opened_at };
				report.open = [
					{ ...alert, type: "high_latency", value: 900, threshold: 500 },
					{ ...alert, type: "l2_breaker_open", value: 2, threshold: 0 },
					{ ...alert, type: "of_a_later_version", value: 2, threshold: 0 },
				];
				report.resolved = [
					{ ...alert, type: "sla_burn_1h", status: "resolved", value: 22.5, threshold: 14.4, resolved_at: opened_at },
				];
			}
			await route.fulfill({ json: report });
		});

	for (const [colorScheme, width] of [
		["light", 1440],
		["dark", 320],
	]) {
		test(`what is amiss is said in words, and axe finds nothing, in ${colorScheme} at ${width} px`, async () => {
			const page = await open({ colorScheme, viewport: { width, height: 900 } }, { prepare: amiss });
			const fact = (name) => page.locator(".headline > div", { hasText: name }).locator("dd").innerText();
			assert.deepEqual([await fact("SLO"), await fact("Open alerts")], ["violated", "3"]);
			assert.equal(await cell(page, "Rows by tier", /^L2/, 7), "open");
			const alerts = await page.getByRole("region", { name: "Alerts" }).innerText();
			assert.match(alerts, /A request was slow\s+900 ms, alerts at 500 ms · high · since \d/);
			assert.match(alerts, /of a later version/);
			assert.match(
				alerts,
				/resolved\s+High burn rate of the error budget \(1 h\)\s+22\.5 × the sustainable rate, alerts at 14\.4 ×/,
			);
			assert.match(await page.getByRole("region", { name: "Prefetch" }).innerText(), /Precision\s+83\.3 %/);
			assert.deepEqual(await violations(page), []);
			assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
		});
	}

	for (const colorScheme of ["light", "dark"]) {
		for (const width of [1440, 320]) {
			test(`axe finds nothing in ${colorScheme} at ${width} px, and nothing sticks out`, async () => {
				const page = await open({ colorScheme, viewport: { width, height: 800 } });
				assert.deepEqual(await violations(page), []);
				assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
			});
		}
	}
});
