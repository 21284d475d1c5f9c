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

	test("a Worker that is gone is said to be gone, with the time of the next attempt, and asked again", async () => {
		const page = await open();
		await page.route("**/v1/*", (route) => route.abort());
		await page.getByText("The Worker could not be reached").waitFor();
		await page.getByText(/The page tries again in \d+ s\./).waitFor();
		await page.unroute("**/v1/*");
		await page.getByRole("button", { name: "Retry now" }).click();
		await page.locator("#live-message:empty").waitFor({ state: "attached" });
		assert.ok(await page.getByText(/The page tries again/).isHidden());
		world.forgiveAnswers();
	});

	test("Live shows that the device is offline, and goes on once it is back", async () => {
		const page = await open();
		const readiness = page.locator("#readiness");
		await readiness.getByText("Ready", { exact: true }).waitFor();
		// The event is sent here too: a machine without a network is offline before, and its browser sends none.
		const setOffline = async (isOffline) => {
			await page.context().setOffline(isOffline);
			await page.evaluate((name) => dispatchEvent(new Event(name)), isOffline ? "offline" : "online");
		};
		await setOffline(true);
		await readiness.getByText("Offline").waitFor();
		await page.getByText("The Worker could not be reached").waitFor();
		await setOffline(false);
		await readiness.getByText("Ready", { exact: true }).waitFor();
		await page.locator("#live-message:empty").waitFor({ state: "attached" });
		world.forgiveAnswers();
	});

	const problem = (status, type, detail, headers) => ({
		status,
		headers: { "content-type": "application/problem+json", ...headers },
		body: JSON.stringify({ type: `urn:featheredge:problem:${type}`, title: type, status, detail }),
	});

	for (const [what, answer, expected] of [
		["401", problem(401, "unauthorized", "a token is needed"), /asks for a token\s.*a token is needed.*operator/s],
		["403", problem(403, "forbidden", "the scope `read` is needed"), /may not do this\s.*the scope `read` is needed/s],
		["404", problem(404, "not-found", "no such path"), /There are no reports here/],
		["429", problem(429, "too-many-requests", "over the limit", { "retry-after": "90" }), /limits this page/],
		["500", problem(500, "internal", "a defect"), /could not make the report: status 500\s.*a defect/s],
		["a page of a proxy", { status: 502, contentType: "text/html", body: "<h1>Bad" }, /status 502 .*\(text\/html\)/],
		["a login page", { status: 200, contentType: "text/html", body: "<form>" }, /no report \(text\/html\)/],
		["no telemetry", problem(503, "telemetry-unavailable", "none yet"), /Nothing is measured yet/],
	]) {
		test(`${what} in place of a report is explained in words`, async () => {
			const page = await visit({}, { prepare: (page) => page.route("**/v1/*", (route) => route.fulfill(answer)) });
			const message = page.locator("#live-message .callout");
			await message.waitFor();
			assert.match(await message.innerText(), expected);
			const wait = Number(/again in (\d+) s/.exec(await page.locator("#live-wait").innerText())[1]);
			assert.ok(what === "429" ? wait > 80 : wait <= 30, `${wait} s`);
			assert.deepEqual(await violations(page), []);
			world.forgiveAnswers();
		});
	}

	test("figures of all isolates need their sum, and who has none is told what to switch on", async () => {
		const page = await open();
		await page.getByLabel("Scope").selectOption("all isolates");
		await page.getByText("Figures of all isolates are not available here").waitFor();
		await page.getByText(/a Worker with telemetry\.aggregate = true/).waitFor();
		assert.ok(
			await page.getByText("Hit ratio").first().isHidden(),
			"those of the isolate are not passed off as theirs",
		);
		await page.getByRole("button", { name: "Show the isolate that responds" }).click();
		await page.locator("#live[data-state=shown]").waitFor();
		assert.equal(await page.getByLabel("Scope").inputValue(), "isolate");
		assert.ok(await page.locator("#live-message").isHidden());
		world.forgiveAnswers();
	});

	/** Lays changes over the Worker's reports, by path. */
	const laidOver = (changes) => (page) =>
		page.route("**/v1/*", async (route) => {
			const report = await (await route.fetch()).json();
			changes[new URL(route.request().url()).pathname]?.(report);
			await route.fulfill({ json: report });
		});

	test("an SLO of a few requests is not judged", async () => {
		const few = (report) => {
			Object.assign(report, { status: "violation", requests: 5, min_requests: 100, error_budget_remaining: 0 });
			Object.assign(report.details, { p50_compliant: false, current_p50: 33 });
		};
		const stats = (report) => Object.assign(report.overall, { requests: 5 });
		const page = await open({}, { prepare: laidOver({ "/v1/sla": few, "/v1/stats": stats }) });
		await page.getByText("too few requests to judge: 5 of 100").waitFor();
		assert.equal(await page.locator(".headline [data-state=bad]").count(), 0);
		assert.equal(await page.locator("#live .targets [data-verdict=missed]").count(), 0);
	});

	test("the charts cover the time range that is chosen, of what the page has seen", async () => {
		const page = await open({}, { prepare: (page) => page.clock.install() });
		const seen = page.locator(".seen");
		const pass = async (milliseconds) => {
			await world.worker.post("/v1/features", REQUEST);
			const next = page.waitForResponse("**/v1/alerts*");
			await page.clock.fastForward(milliseconds);
			await next;
		};
		for (let number = 0; number < 4; number++) await pass(2_000);
		await seen.getByText(/ of the last 5 min, seen by this page\.$/).waitFor();
		await page.getByLabel("Time range").selectOption("15 min");
		await seen.getByText(/ of the last 15 min/).waitFor();
		await pass(180_000);
		await seen.getByText(/^3(\.\d)? min of the last 15 min/).waitFor();
		await page.getByLabel("Time range").selectOption("1 min");
		await seen.waitFor({ state: "hidden" });
		await pass(2_000);
		await seen.getByText(/^2 s of the last 1 min/).waitFor();
	});

	test("the span of a benchmark is shaded and named, also one of another tab", async () => {
		const page = await open();
		const startedAt = Date.now();
		const other = await page.context().newPage();
		await other.goto(`${world.worker.url}/#try`);
		const mark = (endedAt) =>
			other.evaluate((mark) => new BroadcastChannel("featheredge-benchmarks").postMessage(mark), {
				startedAt,
				endedAt,
			});
		await page.bringToFront();
		await mark();
		await world.worker.post("/v1/features", REQUEST);
		await page.getByText("Shaded: a benchmark of this browser is running.").waitFor();
		await page.locator("#live canvas").nth(2).waitFor();
		await mark(Date.now());
		await page.getByText("Shaded: a benchmark of this browser.", { exact: true }).waitFor();
		await world.worker.post("/v1/features", REQUEST);
		await page.locator("#live .charts .benchmark").nth(2).waitFor();
		assert.match(await page.locator("#live figure p.hidden").first().textContent(), /A benchmark of this browser ran/);
	});

	test("L1's room and its evictions are shown", async () => {
		const full = ({ isolate }) =>
			Object.assign(isolate, {
				l1_rows: 150,
				l1_max_rows: 200,
				l1_bytes: 10,
				l1_max_bytes: 1_000,
				l1_evictions: 1_234,
			});
		const page = await open({}, { prepare: laidOver({ "/v1/stats": full }) });
		const memory = await page.getByRole("region", { name: "Memory", exact: true }).innerText();
		assert.match(memory, /Rows\s+150 of 200\s+Bytes\s+10 B of 1\.0 kB\s+Room left\s+25 %\s+Rows evicted\s+1,234/);
	});

	test("a dashboard is linked where the deployment names one, and explained where it does not", async () => {
		const page = await open();
		await page.locator("summary", { hasText: "Grafana dashboard" }).click();
		await page.getByText(/names no dashboard/).waitFor();
		assert.deepEqual(await violations(page), []);
		await page.keyboard.press("Escape");
		assert.ok(await page.getByText(/names no dashboard/).isHidden());
		const url = "https://grafana.example.com/d/featheredge";
		await page.context().close();
		const named = await startWorker({ vars: { origin: { kind: "synthetic" }, telemetry: { dashboard_url: url } } });
		try {
			const page = await open({}, { url: named.url });
			assert.equal(await page.getByRole("link", { name: "Grafana dashboard" }).getAttribute("href"), url);
		} finally {
			await named.stop();
		}
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
				report.overall.requests = 900;
				Object.assign(report.tiers.l2, { breaker_open: 1, operations: 9, operation_errors: 7 });
				Object.assign(report.prefetch, { issued: 40, used: 30, wasted: 6, late: 4, precision: 0.833333 });
			}
			if (of === "/v1/sla") {
				report.status = "violation";
				report.requests = 900;
				report.error_budget_remaining = 0;
				Object.assign(report.details, { p99_compliant: false, current_p99: 480 });
				Object.assign(report.burn_rates[0], { rate: 22.5, is_burning: true });
			}
			if (of === "/v1/alerts") {
				const alert = { status: "open", severity: "high", opened_at, worst_at: opened_at };
				report.open = [
					{ ...alert, type: "high_latency", value: 900, worst_value: 900, threshold: 500 },
					{ ...alert, type: "low_cache_hit_rate", value: 0.723, worst_value: 0.07, threshold: 0.8 },
					{ ...alert, type: "l2_breaker_open", value: 2, worst_value: 2, threshold: 0 },
					{ ...alert, type: "of_a_later_version", value: 2, worst_value: 2, threshold: 0 },
				];
				report.resolved = [
					{
						...alert,
						...{ type: "sla_burn_1h", status: "resolved", resolved_at: opened_at },
						...{ value: 3, worst_value: 22.5, threshold: 14.4 },
					},
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
			assert.deepEqual([await fact("SLO"), await fact("Open alerts")], ["violated", "4"]);
			assert.equal(await cell(page, "Rows by tier", /^L2/, 7), "open");
			const alerts = await page.getByRole("region", { name: "Alerts" }).innerText();
			assert.match(alerts, /A request was slow\s+now 900 ms · alerts above 500 ms\s+high · since \d/);
			assert.match(alerts, /Low cache hit ratio\s+now 72\.3 % · worst 7 % at \d\d:\d\d:\d\d · alerts below 80 %/);
			assert.match(alerts, /of a later version/);
			assert.match(
				alerts,
				/resolved\s+The error budget burns fast \(1 h\)\s+ended at 3 × · worst 22\.5 × at \S+ · alerts from 14\.4 ×/,
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
