// The command line against those who mean harm: servers, files and arguments. Whatever they give, a command ends in time, with the right exit
// code and an error of one line, and sends a terminal nothing that it would obey.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
	closeSync,
	ftruncateSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { bearerOf } from "../../npm/cli/token.js";
import { answerOf, chance, DEEDS, SEQUENCES, startHostile } from "../support/hostile.mjs";
import { startOrigin } from "../support/origin.mjs";
import { fromRoot, paths } from "../support/root.mjs";
import { until } from "../support/wait.mjs";

const CLI = join(paths.package, "cli/featheredge.js");
const TOKEN = "of-the-operator";
/** How many answers of chance each command gets; a longer hunt has more, and another seed. */
const ROUNDS = Number(process.env.FEATHEREDGE_FUZZ_ROUNDS ?? 6);
const SEED = Number(process.env.FEATHEREDGE_FUZZ_SEED ?? 1);
/** How long a command waits for a response, and how much longer it may take in all on a busy machine. */
const TIMEOUT_MS = 700;
const SLACK_MS = 15_000;

const folder = mkdtempSync(join(tmpdir(), "featheredge-hostile-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name, contents) => {
	writeFileSync(join(folder, name), contents);
	return name;
};

/**
 * Starts a command, which is killed when it has taken too long.
 *
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
function start(args, env = {}) {
	const child = spawn(process.execPath, [CLI, ...args.map(String)], {
		cwd: folder,
		env: { ...process.env, FEATHEREDGE_OPERATOR_TOKEN: TOKEN, FEATHEREDGE_BENCH_HISTORY: "history", ...env },
		stdio: ["ignore", "pipe", "pipe"],
	});
	const output = { stdout: "", stderr: "" };
	for (const name of ["stdout", "stderr"]) {
		child[name].setEncoding("utf8").on("data", (text) => {
			output[name] += text;
		});
	}
	const began = performance.now();
	const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS + SLACK_MS);
	const ended = new Promise((resolve) => {
		child.on("close", (code, signal) => {
			clearTimeout(timer);
			resolve({ code: code ?? signal, ms: performance.now() - began, ...output });
		});
	});
	return { child, ended, output };
}

const run = (args, env) => start(args, env).ended;

/** All but the line breaks of a text that a terminal would obey. */
const CONTROL = /(?!\n)[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/** What holds of whatever a command printed. */
function checkWords({ code, stdout, stderr }, what) {
	const shown = `${what} ended with ${code}: ${JSON.stringify(stderr.slice(0, 2_000))}`;
	assert.notEqual(code, "SIGKILL", `too late: ${shown}`);
	assert.doesNotMatch(stderr, /^\s+at .*:\d+/m, shown);
	assert.doesNotMatch(stderr, /internal error/, shown);
	assert.doesNotMatch(stderr, CONTROL, shown);
	assert.doesNotMatch(stdout, CONTROL, `${shown} ${JSON.stringify(stdout.slice(0, 500))}`);
	assert.ok(!`${stdout}${stderr}`.includes(TOKEN), shown);
	assert.doesNotMatch(stderr, /^error: forged/m, shown);
}

function checkFailure(result, what) {
	checkWords(result, what);
	assert.ok(result.code > 0 && result.code < 6, `${what} ended with ${result.code}: ${result.stdout}${result.stderr}`);
	assert.match(result.stderr, /\S/, what);
	assert.ok(result.stderr.length < 4_000, `${what}: ${result.stderr.length} characters`);
}

const NATIVE = {
	features: { 1: { "v:f": { value: 0.5, status: "PRESENT", age_ms: 3, tier: "l1" } } },
	latency_ms: 1,
	cache_stats: { l1_hits: 1 },
	quality_metrics: { completeness: 1 },
	metadata: { serving_strategy: "hybrid_serving" },
};
const FEAST = {
	metadata: { feature_names: ["id", "f"] },
	results: [
		{ values: [1], statuses: ["PRESENT"], event_timestamps: ["2026-01-01T00:00:00Z"] },
		{ values: [2], statuses: ["PRESENT"], event_timestamps: ["2026-01-01T00:00:00Z"] },
	],
};
const LATENCIES = { latency_p50_ms: 1, latency_p95_ms: 2, latency_p99_ms: 3 };
const CHECKS = ["p50", "p95", "p99", "availability", "error_rate"].flatMap((name) => [
	[`current_${name}`, 1],
	[`target_${name}`, 2],
	[`${name}_compliant`, true],
]);

/** Whole answers by their paths. */
const VALID = {
	"/v1/features": NATIVE,
	"/get-online-features": FEAST,
	"/v1/stats": {
		...{ project: "default", scope: "isolate", at: "2026-12-01T04:57:01.183Z", latency_clock: "a clock" },
		overall: { requests: 1, ...LATENCIES },
		routes: { "/v1/features": { requests: 1, ...LATENCIES } },
		tiers: { l1: { hits: 1, misses: 0, hit_ratio: 1, operations: 1, ...LATENCIES } },
		quality: { completeness: 1, freshness: 1 },
	},
	"/v1/sla": { status: "compliant", error_budget_remaining: 1, details: Object.fromEntries(CHECKS) },
	"/v1/alerts": {
		open: [{ type: "latency", severity: "high", value: 1, threshold: 2, opened_at: "2026-12-01T04:57:01.183Z" }],
	},
	"/v1/warm": {
		...{ rows: 1, fetched: 0, fresh: 0, not_found: 0, loaded: 1, failed: 0, remaining: 0, origin_calls: 0 },
		stores: { l2_distributed: { rows: 1, failed: 0, bytes: 9 } },
	},
};

const QUICK = ["--only", "popular_load", "--duration", 0.2, "--repeats", 1, "--timeout", TIMEOUT_MS, "--no-history"];
const ROW = ["--view", "v", "--keys", "id", "--from", "row.ndjson", "--restart"];

/** How each command asks a server. A new command needs a line here, or an entry in `ASKS_NOBODY`. */
const COMMANDS = {
	get: (url) => ["get", "-e", "id=1", "-f", "v:f", "--url", url, "--timeout", TIMEOUT_MS],
	"get of an origin": (url) => ["get", "-e", "id=1", "-f", "v:f", "--origin", url, "--config", "quick.toml"],
	warm: (url) => ["warm", ...ROW, "--url", url, "--timeout", TIMEOUT_MS],
	"warm of an origin": (url) => {
		const how = ["--view", "v", "-e", "id=1", "--fetch", "f", "--config", "quick.toml"];
		return ["warm", ...how, "--origin", url, "--kv-bulk", "out"];
	},
	stats: (url) => ["stats", "--url", url, "--timeout", TIMEOUT_MS],
	top: (url) => ["top", "--url", url, "--count", 1, "--timeout", TIMEOUT_MS],
	bench: (url) => ["bench", ...QUICK, "--url", url],
	"bench of an origin": (url) => ["bench", ...QUICK, "--origin", url],
};

/** One command for each way to ask: chance tries the others too. */
const CLIENTS = Object.keys(COMMANDS).filter((name) => name !== "stats" && name !== "warm of an origin");

before(() => {
	file("row.ndjson", '{"id":1,"f":2}\n');
	file("quick.toml", `[origin]\ntimeout_ms = ${TIMEOUT_MS}\n[deadlines]\nwarm_ms = ${TIMEOUT_MS}`);
});

describe("one module prints", () => {
	test("no other writes to the terminal, or sends requests of its own", () => {
		for (const name of readdirSync(fromRoot("npm/cli"))) {
			const source = readFileSync(fromRoot(`npm/cli/${name}`), "utf8").replaceAll(/^\s*(?:\/\/|\*|\/\*).*$/gm, "");
			if (name !== "output.js") {
				const own = /process\s*\.\s*(?:stdout|stderr)|\bwriteSync\(\s*[12]\b|\/dev\/(?:tty|stdout|stderr)/.exec(source);
				assert.equal(own?.[0], undefined, `${name} writes by itself`);
				if (name !== "featheredge.js" && name !== "serve.js") {
					assert.doesNotMatch(source, /\bconsole\b/, `${name} has a console of its own`);
				}
			}
			if (!["client.js", "origin-fetch.js"].includes(name)) {
				assert.doesNotMatch(
					source,
					/(?<![.\w])(?:fetch|nodeFetch)\(|\brequest\b.*"node:https?"|"undici"/,
					`${name} sends requests by itself`,
				);
			}
		}
	});

	test("each command is tried here", async () => {
		const { stdout } = await run(["--help"]);
		const names = [...stdout.matchAll(/^ {2}([a-z]+) (?:\[options\])/gm)].map(([, name]) => name);
		assert.ok(names.length >= 6, stdout);
		const tried = new Set([...Object.keys(COMMANDS).map((name) => name.split(" ")[0]), "serve"]);
		assert.deepEqual(
			names.filter((name) => !tried.has(name)),
			[],
		);
	});
});

/** Runs these at once, some at a time: they wait more than they work. */
async function each(list, act) {
	const left = list.values();
	const worker = async () => {
		for (const item of left) await act(item);
	};
	await Promise.all(Array.from({ length: 4 }, worker));
}

describe("a server that means harm", () => {
	let elsewhere;
	before(async () => {
		elsewhere = await startHostile((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"));
	});
	after(() => elsewhere.stop());

	for (const [deed, act] of Object.entries(DEEDS)) {
		test(deed, async (t) => {
			const server = await startHostile((socket, request) => {
				const [, target] = request.split(" ");
				return act(socket, { request, target, elsewhere: elsewhere.url });
			});
			t.after(() => server.stop());
			await each(CLIENTS, async (name) => {
				checkFailure(await run(COMMANDS[name](server.url)), `${name}, ${deed}`);
			});
			assert.ok(server.requests.length > 0, "nobody asked it");
			assert.deepEqual(elsewhere.requests, []);
		});
	}

	test("answers of chance", async () => {
		const rounds = Array.from({ length: ROUNDS }, (_, round) => SEED * 100_000 + round);
		const tries = Object.keys(COMMANDS).flatMap((name) => rounds.map((seed) => [name, seed]));
		await each(tries, async ([name, seed]) => {
			const below = chance(seed);
			const server = await startHostile((socket, request) => {
				const path = request.split(" ")[1].split("?")[0];
				socket.end(answerOf(below, VALID[path] ?? {}));
			});
			const result = await run(COMMANDS[name](server.url));
			await server.stop();
			// What is spoiled may be of no account.
			if (result.code === 0) checkWords(result, `${name}, seed ${seed}`);
			else checkFailure(result, `${name}, seed ${seed}`);
		});
	});

	test("an answer without end takes little memory", async (t) => {
		const server = await startHostile(DEEDS["body without end"]);
		t.after(() => server.stop());
		const { child, ended } = start(["get", "-e", "a", "-f", "f", "--url", server.url]);
		let most = 0;
		const timer = setInterval(() => {
			const [, kib] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8")) ?? [];
			most = Math.max(most, Number(kib ?? 0) / 1_024);
		}, 20);
		child.once("exit", () => clearInterval(timer));
		const result = await ended;
		assert.equal(result.code, 4, result.stderr);
		assert.match(result.stderr, /more than 64 MiB/);
		assert.ok(most > 0 && most < 500, `${most} MiB`);
	});

	test("one that never has time for all rows is asked a few times", async (t) => {
		const report = { ...VALID["/v1/warm"], rows: 2, remaining: 1 };
		const server = await startOrigin(() => ({ body: JSON.stringify(report) }));
		t.after(() => server.stop());
		const result = await run(COMMANDS.warm(server.url));
		assert.equal(result.code, 4, result.stderr);
		assert.match(result.stderr, /the server has no time for 1 of the rows/);
		assert.ok(server.requests.length <= 5, String(server.requests.length));
	});

	test("a server of Redis that says nothing", async (t) => {
		const server = await startHostile(() => {});
		t.after(() => server.stop());
		const secret = "a-password";
		const to = server.url.replace("http://", `redis://:${secret}@`);
		const result = await run(["get", "-e", "a", "-f", "f", "--redis", to]);
		checkFailure(result, "get --redis");
		assert.match(result.stderr, /cannot reach Redis at 127\.0\.0\.1:\d+: /);
		const wrong = await run(["get", "-e", "a", "-f", "f", "--redis", `rdis://:${secret}@host`]);
		assert.equal(wrong.code, 2);
		assert.ok(!`${result.stderr}${wrong.stderr}`.includes(secret));
	});
});

describe("what a terminal would obey", () => {
	const shown = JSON.stringify(SEQUENCES)
		.slice(1, -1)
		.replaceAll(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
	/** A server with whole answers, in which every string is hostile. */
	const startWith = (change) =>
		startOrigin(({ path }) => ({ body: JSON.stringify(change(structuredClone(VALID[path.split("?")[0]]), path)) }));

	test("is shown in values, and stays in JSON", async (t) => {
		const server = await startWith((answer) => ({
			...answer,
			features: { [SEQUENCES]: { [SEQUENCES]: { value: SEQUENCES, status: SEQUENCES, tier: SEQUENCES } } },
		}));
		t.after(() => server.stop());
		const table = await run(COMMANDS.get(server.url));
		checkWords(table, "get");
		assert.equal(table.code, 0, table.stderr);
		assert.ok(table.stdout.split(shown.slice(0, 30)).length > 5, table.stdout);
		const json = await run([...COMMANDS.get(server.url), "--json"]);
		checkWords(json, "get --json");
		assert.equal(json.stdout.split("\n").length, 2);
		assert.equal(JSON.parse(json.stdout).features[SEQUENCES][SEQUENCES].value, SEQUENCES);
	});

	test("is shown in reports", async (t) => {
		const server = await startWith((answer, path) => {
			if (path.startsWith("/v1/stats")) return { ...answer, project: `${SEQUENCES}\nerror: forged`, at: SEQUENCES };
			if (path.startsWith("/v1/sla")) return { ...answer, status: SEQUENCES };
			return { open: [{ ...answer.open[0], type: SEQUENCES }] };
		});
		t.after(() => server.stop());
		for (const name of ["stats", "top"]) {
			const result = await run(COMMANDS[name](server.url));
			checkWords(result, name);
			assert.equal(result.code, 0, result.stderr);
			assert.ok(result.stdout.startsWith(`${shown}\\u000aerror: forged, isolate, ${shown}: ${shown}`), result.stdout);
			const json = await run([...COMMANDS[name](server.url), "--json"]);
			checkWords(json, name);
			assert.equal(JSON.parse(json.stdout).sla.status, SEQUENCES);
		}
	});

	test("is shown in errors of servers", async (t) => {
		const body = JSON.stringify({ detail: `${SEQUENCES}\nerror: forged` });
		const server = await startOrigin(() => ({ status: 500, body }));
		t.after(() => server.stop());
		for (const name of ["get", "warm", "stats", "top"]) {
			const result = await run(COMMANDS[name](server.url));
			checkFailure(result, name);
			assert.ok(result.stderr.includes(`answered 500: ${shown}\\u000aerror: forged`), result.stderr);
			const json = await run([...COMMANDS[name](server.url), "--json"]);
			checkFailure(json, `${name} --json`);
			assert.ok(JSON.parse(json.stderr).error.includes(`${SEQUENCES}\nerror: forged`));
		}
	});

	test("is shown in arguments and files", async () => {
		const named = `${SEQUENCES}.toml`;
		file(named, `a = "\u009b31m\u202e\u2028\n`);
		file("run.json", JSON.stringify({ name: SEQUENCES }));
		for (const args of [
			["get", "-e", "a", "-f", "f", "--config", named],
			["get", "-e", "a", "-f", "f", "--config", `none-${SEQUENCES}.json`],
			["get", "-e", "a", "-f", "f", "--url", SEQUENCES],
			["get", `--${SEQUENCES}`],
			["get", "-e", "a", "-f", "f", "--priority", SEQUENCES],
			["get", "-e", "a", "-f", "f", "--redis", SEQUENCES],
			["get", "-e", `${"[".repeat(100_000)}`, "-f", "f"],
			["get", "-e", `id=${"[".repeat(50_000)}${"]".repeat(50_000)}`, "-f", "f"],
			[SEQUENCES],
			["bench", "--only", SEQUENCES],
			["bench", "--compare", SEQUENCES],
			["bench", "--compare", "run.json"],
			["bench", "history", "show", SEQUENCES],
			["serve", "--host", SEQUENCES],
			["warm", "--from", SEQUENCES, "--view", "v", "--keys", "k", "--kv-bulk", "out"],
		]) {
			checkFailure(await run(args), args.join(" ").slice(0, 80));
		}
	});

	test("is shown in a run's name, in each form", async () => {
		for (const format of ["table", "csv", "markdown", "json"]) {
			const result = await run(["bench", ...QUICK, "--name", SEQUENCES, "--format", format]);
			assert.equal(result.code, 0, result.stderr);
			assert.doesNotMatch(result.stdout.replaceAll("\r\n", "\n"), CONTROL);
			if (format === "json") assert.equal(JSON.parse(result.stdout).name, SEQUENCES);
			if (format === "table") assert.ok(result.stdout.startsWith(`${shown}\n`), result.stdout);
		}
	});

	test("is shown of an origin's failure by serve, which says why", async (t) => {
		const origin = await startHostile((socket) => socket.end(`HTTP/1.1 500 ${SEQUENCES}\r\ncontent-length: 0\r\n\r\n`));
		const program = start(["serve", "--port", 0, "--origin", origin.url, "--json"]);
		t.after(() => program.child.kill());
		t.after(() => origin.stop());
		const url = await until(() => /"url":"([^"]+)"/.exec(program.output.stdout)?.[1]);
		const body = JSON.stringify({ entities: { id: [1] }, feature_names: ["v:f"] });
		await fetch(`${url}/v1/features`, { method: "POST", body });
		await until(() => /featheredge: the origin failed: /.test(program.output.stderr));
		assert.doesNotMatch(program.output.stderr, CONTROL);
	});
});

describe("the operator's token", () => {
	test("goes over https and to this machine alone", () => {
		process.env.FEATHEREDGE_OPERATOR_TOKEN = TOKEN;
		for (const url of ["https://features.example.com", "http://127.0.0.1:1", "http://localhost", "http://[::1]:8787"]) {
			assert.equal(bearerOf("FEATHEREDGE_OPERATOR_TOKEN", url), TOKEN);
		}
		for (const url of ["http://features.example.com", "http://127.0.0.1.example.com", "http://localhost.example.com"]) {
			assert.throws(() => bearerOf("FEATHEREDGE_OPERATOR_TOKEN", url), /in clear: write https:\/\//);
		}
	});

	test("goes to the URL that was given, and stands in no error and no process's title", async (t) => {
		const origin = await startHostile((socket, request) => DEEDS["echoes the token"](socket, { request }));
		t.after(() => origin.stop());
		file("other.toml", `[origin]\nkind = "http"\nurl = "${origin.url}"`);
		const env = {
			FEATHEREDGE_ORIGIN: origin.url,
			FEATHEREDGE_URL: origin.url,
			HTTP_PROXY: origin.url,
			NODE_USE_ENV_PROXY: "1",
		};
		checkFailure(await run(["get", "-e", "id=1", "-f", "v:f", "--config", "other.toml"], env), "get");
		const server = await startOrigin(({ headers, path }) => {
			assert.equal(headers.authorization, `Bearer ${TOKEN}`);
			return { body: JSON.stringify(VALID[path.split("?")[0]]) };
		});
		t.after(() => server.stop());
		for (const name of ["get", "warm", "stats", "top"]) {
			const { code, stderr } = await run(COMMANDS[name](server.url), env);
			assert.equal(code, 0, stderr);
		}
		assert.ok(origin.requests.length > 0);
		assert.ok(
			origin.requests.every((request) => !request.includes(TOKEN)),
			origin.requests.join("\n"),
		);
		const program = start(["top", "--url", server.url]);
		await until(() => program.output.stdout !== "");
		assert.ok(!readFileSync(`/proc/${program.child.pid}/cmdline`, "utf8").includes(TOKEN));
		program.child.kill();
		await program.ended;
	});

	test("that no header can have is an error, and so is one in a URL", async () => {
		for (const [token, url] of [
			["of\nthe-operator", "http://127.0.0.1:9"],
			["of-the-operator-é", "http://127.0.0.1:9"],
			[TOKEN, `http://x:${TOKEN}@127.0.0.1:9`],
			[TOKEN, "http://192.0.2.1"],
			[TOKEN, "ftp://127.0.0.1"],
			[TOKEN, `nonsense-${TOKEN}`],
		]) {
			const result = await run(["stats", "--url", url], { FEATHEREDGE_OPERATOR_TOKEN: token });
			checkFailure(result, url);
			assert.equal(result.code, 2, result.stderr);
			assert.ok(!result.stderr.includes(token), result.stderr);
		}
	});
});

describe("signals", () => {
	for (const [signal, code] of [
		["SIGINT", 130],
		["SIGTERM", 143],
	]) {
		test(`${signal} ends each command at once`, async (t) => {
			const server = await startHostile(() => {});
			t.after(() => server.stop());
			const long = (args) => args.map((arg) => (arg === TIMEOUT_MS ? 60_000 : arg));
			for (const name of ["get", "warm", "stats", "top", "bench", "bench of an origin"]) {
				const asked = server.requests.length;
				const { child, ended } = start(long(COMMANDS[name](server.url)));
				await until(() => server.requests.length > asked, { what: `a request of ${name}` });
				const began = performance.now();
				child.kill(signal);
				const result = await ended;
				assert.equal(result.code, code, `${name}: ${result.stderr}`);
				assert.ok(performance.now() - began < 5_000, name);
				checkWords(result, name);
			}
		});
	}

	test("end `top` between two refreshes, and a benchmark under way", async (t) => {
		const server = await startOrigin(({ path }) => ({ body: JSON.stringify(VALID[path.split("?")[0]]) }));
		t.after(() => server.stop());
		const top = start(["top", "--url", server.url, "--interval", 1_000]);
		await until(() => /no open alerts|open alert/.test(top.output.stdout));
		top.child.kill("SIGTERM");
		assert.equal((await top.ended).code, 143);
		const bench = start(["bench", "--only", "popular_load", "--duration", 60, "--url", server.url]);
		await until(() => server.requests.length > 20);
		bench.child.kill("SIGINT");
		assert.equal((await bench.ended).code, 130);
	});

	test("end a server gracefully as soon as it is ready", async () => {
		for (const signal of ["SIGTERM", "SIGINT", "SIGTERM"]) {
			const { child, ended } = start(["serve", "--port", 0]);
			child.stdout.once("data", () => child.kill(signal));
			const result = await ended;
			assert.match(result.stdout, /^ready on http:/);
			assert.equal(result.code, 0, `${signal}: ${result.code} ${result.stderr}`);
		}
	});
});

describe("a second signal", () => {
	test("ends a server whose requests do not end", async (t) => {
		const origin = await startHostile(() => {});
		t.after(() => origin.stop());
		const { child, ended, output } = start(["serve", "--port", 0, "--origin", origin.url, "--json"]);
		const url = await until(() => /"url":"([^"]+)"/.exec(output.stdout)?.[1]);
		const body = JSON.stringify({ entities: { id: [1] }, feature_names: ["v:f"] });
		fetch(`${url}/v1/features`, { method: "POST", body }).catch(() => {});
		await until(() => origin.requests.length > 0);
		child.kill("SIGTERM");
		// It takes no more connections once it has the first signal.
		await until(() =>
			fetch(url).then(
				() => false,
				() => true,
			),
		);
		child.kill("SIGTERM");
		const result = await ended;
		assert.equal(result.code, 143, result.stderr);
		checkWords(result, "serve");
	});
});

describe("a reader that goes away", () => {
	test("ends a command without a word", async (t) => {
		const server = await startOrigin(({ path }) => ({ body: JSON.stringify(VALID[path.split("?")[0]]) }));
		t.after(() => server.stop());
		const { child, ended } = start(["top", "--url", server.url, "--interval", 1]);
		child.stdout.once("data", () => child.stdout.destroy());
		const result = await ended;
		assert.equal(result.code, 141, result.stderr);
		assert.equal(result.stderr, "");
	});

	test("a full disk is an error of one line", () => {
		const full = openSync("/dev/full", "w");
		const { status, stderr } = spawnSync(process.execPath, [CLI, "get", "-e", "a", "-f", "f"], {
			stdio: ["ignore", full, "pipe"],
			encoding: "utf8",
		});
		closeSync(full);
		assert.equal(status, 1, stderr);
		assert.match(stderr, /^error: cannot write the output: ENOSPC.*\n$/);
	});
});

describe("files that mean harm", () => {
	/** Files by name, with what a command says of them as a configuration, and of JSON in general. */
	const made = {};
	before(() => {
		const add = (name, contents) => {
			made[name] = file(name, contents);
		};
		for (const [name, text] of Object.entries({
			"null.json": "null",
			"list.json": "[]",
			"number.json": "1",
			"string.json": '"x"',
			"empty.json": "",
			"broken.json": "{",
			"deep.json": '{"a":'.repeat(100_000),
			"page.json": "<html></html>",
			"deep.toml": `a = ${"[".repeat(100_000)}`,
			"broken.toml": "[a\nb",
			"vars.toml": "[vars]\nFEATHEREDGE = 5",
			"limits.json": '{"ratelimits":[null]}',
			"url.json": '{"origin":{"url":{"toString":1}}}',
			"binary.json": Buffer.from([0x7b, 0xff, 0x7d]),
		})) {
			add(name, text);
		}
		mkdirSync(join(folder, "folder.json"));
		execFileSync("mkfifo", [join(folder, "pipe.json"), join(folder, "pipe.toml")]);
		const huge = openSync(join(folder, "huge.json"), "w");
		ftruncateSync(huge, 1_000_000_000);
		closeSync(huge);
		for (const name of ["folder.json", "pipe.json", "pipe.toml", "huge.json", "none.json"]) made[name] = name;
	});

	test("as a configuration", async () => {
		await each(Object.keys(made), async (name) => {
			const began = performance.now();
			const get = await run(["get", "-e", "a", "-f", "f", "--config", name]);
			checkFailure(get, `get --config ${name}`);
			assert.equal(get.code, 3, `${name}: ${get.stderr}`);
			assert.ok(get.stderr.includes(name), get.stderr);
			assert.ok(performance.now() - began < 10_000, name);
		});
		for (const args of [["serve", "--port", 0], COMMANDS.warm("http://127.0.0.1:9")]) {
			for (const name of ["null.json", "limits.json", "url.json"]) {
				const result = await run([...args, "--config", name]);
				checkFailure(result, `${args[0]} --config ${name}`);
				assert.equal(result.code, 3, result.stderr);
			}
		}
	});

	test("as a benchmark's", async () => {
		const options = ["--scenarios", "--budget", "--compare", "--popularity"];
		const tries = Object.keys(made)
			.filter((name) => name.endsWith(".json"))
			.flatMap((name) => options.map((option) => [option, name]))
			// An empty list of ids or scenarios is refused as such.
			.filter(([, name]) => name !== "limits.json" && name !== "url.json");
		await each(tries, async ([option, name]) => {
			const result = await run([
				"bench",
				"--duration",
				0.1,
				"--repeats",
				1,
				"--only",
				"popular_load",
				"--no-history",
				option,
				name,
			]);
			checkFailure(result, `bench ${option} ${name}`);
		});
	});

	test("as a benchmark's history", async () => {
		const damaged = JSON.stringify({
			...{ id: "x", saved_at: 1 },
			run: {
				id: "x",
				started_at: SEQUENCES,
				name: { toString: 1 },
				scenarios: [{ scenario: { name: SEQUENCES }, repeats: [] }],
			},
		});
		file("damaged", `${damaged}\n${"[".repeat(100_000)}\n`);
		for (const args of [
			["history", "show", "x"],
			["history", "show", "latest"],
			["--compare", "x"],
		]) {
			checkFailure(await run(["bench", ...args], { FEATHEREDGE_BENCH_HISTORY: "damaged" }), args.join(" "));
		}
		const listed = await run(["bench", "history"], { FEATHEREDGE_BENCH_HISTORY: "damaged" });
		assert.equal(listed.code, 0, listed.stderr);
		checkWords(listed, "bench history");
		for (const history of ["pipe.json", "folder.json"]) {
			checkFailure(await run(["bench", "history"], { FEATHEREDGE_BENCH_HISTORY: history }), history);
		}
	});
});
