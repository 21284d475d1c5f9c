// What the documents give to send to a server, to run on the command line and to write into a configuration works as it stands, with the
// responses that they show.

import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parquetWriteBuffer } from "hyparquet-writer";
import { documented, programsFor } from "../docs/programs.mjs";
import { answerFeatures, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startProgram } from "../support/program.mjs";
import { startRedis } from "../support/redis.mjs";
import { paths } from "../support/root.mjs";
import { startServe } from "../support/serve.mjs";
import { OPERATOR_SECRET, STORE_KEYS_SECRET, TOKENS_SECRET } from "../support/settings.mjs";

const HERE = "tests/npm/documented.test.mjs";
const OPERATOR = "operator";
const CLI = join(paths.package, "cli/featheredge.js");

const programs = programsFor(HERE);
const nameOf = ({ document, line, text }) => `${document}:${line}: ${text.split("\n")[0]}`;
const commandsLike = (pattern) => programs.filter(({ language, text }) => language === "sh" && pattern.test(text));

const folder = mkdtempSync(join(tmpdir(), "featheredge-documented-"));
const file = (name) => join(folder, name);
let redis;
let feast;
let server;

before(async () => {
	// `npx` has the package as it is built, with further options where a test gives some, and keeps what is given to `wrangler secret put`.
	mkdirSync(file("bin"));
	writeFileSync(
		file("bin/npx"),
		`#!/bin/sh
case $1 in
featheredge) shift; exec "${process.execPath}" "${CLI}" "$@" $MORE ;;
wrangler) cat > "$4" ;;
esac
`,
	);
	chmodSync(file("bin/npx"), 0o755);
	[redis, feast] = await Promise.all([startRedis(), startOrigin(answerFeatures)]);
	const keyed = (key) => ({ join_keys: [key], sources: [] });
	server = await startServe({
		redis,
		operatorToken: OPERATOR,
		vars: {
			views: { driver_hourly_stats: keyed("driver_id"), profile: keyed("user_id"), history: keyed("user_id") },
			prefetch: { holdout_percent: 0 },
		},
	});
});
after(async () => {
	await server?.stop();
	await feast?.stop();
	await redis?.stop();
	redis?.remove();
	rmSync(folder, { recursive: true, force: true });
});

/** A command with the addresses of this test in place of the documents'. */
const here = (text) =>
	text
		.replaceAll(
			/http:\/\/127\.0\.0\.1:8787|https:\/\/(?:features\.example\.com|featheredge\.your-name\.workers\.dev)/g,
			server.url,
		)
		.replaceAll("http://127.0.0.1:6566", feast.url)
		.replaceAll("redis://127.0.0.1:6379", `redis://127.0.0.1:${redis.port}`);

const start = (text, env = {}) =>
	startProgram("sh", ["-c", here(text)], {
		cwd: folder,
		env: { [OPERATOR_SECRET]: OPERATOR, PATH: `${file("bin")}${delimiter}${process.env.PATH}`, ...env },
	});

/** Runs a command to its end, which must be a success; gives what it prints. */
async function run(text, env) {
	const program = start(text, env);
	assert.equal(await program.ends(60_000), 0, program.output());
	return program.output();
}

/** Sends a request with curl, which must succeed; gives the response's body. */
async function send(text) {
	const output = await run(text.replace("curl ", "curl -sS -w '\\nstatus %{http_code}' "));
	const [, body, status] = /^(?:HTTP[\s\S]*?\r\n\r\n)?([\s\S]*)\nstatus (\d+)$/.exec(output);
	assert.equal(status, "200", output);
	return body;
}

for (const command of commandsLike(/^curl /)) {
	test(`${nameOf(command)} is answered with 200`, () => send(command.text));
}

describe("responses", () => {
	/** The requests behind responses that have no command before them. */
	const REQUESTS = {
		'{"detail":': [
			"/get-online-features",
			'{"features": ["driver_hourly_stats:conv_rate"], "entities": {"driver_id": [1001}}',
		],
		'{"type":': ["/v1/features", { entity_ids: ["a"], feature_names: ["b"], priority: "urgent" }],
	};

	/** JSON with `…` for what is left out, or several lines of it. */
	const read = (text) =>
		text
			.replaceAll(/,\s*…/g, "")
			.replaceAll("{…}", "{}")
			.split(/\n(?=\{)/)
			.map((value) => JSON.parse(value));

	/** Fails unless all that a document shows is in the response: its members, with values of the same type. */
	function assertShown(shown, real, at) {
		// A value of a feature has its origin's type.
		if (/\.values\.\d+$/.test(at)) return;
		assert.equal(typeof real, typeof shown, at);
		if (typeof shown !== "object" || shown === null) return;
		for (const [name, value] of Object.entries(shown)) assertShown(value, real?.[name], `${at}.${name}`);
	}

	/** A kind of row of the same sessions comes after another, until the model predicts it. */
	before(async () => {
		for (const id of range(8, 100)) {
			for (const feature of ["profile:age", "history:orders"]) {
				const body = { features: [feature], entities: { user_id: [id] } };
				const response = await server.post("/get-online-features", body, { "featheredge-session": `s${id}` });
				assert.equal(response.status, 200);
				await response.arrayBuffer();
			}
		}
	});

	for (const example of programs.filter(({ language }) => language === "json")) {
		test(`${nameOf(example)} is what is answered`, async () => {
			const [, request] = Object.entries(REQUESTS).find(([begin]) => example.text.startsWith(begin)) ?? [];
			let body;
			if (request === undefined) {
				const { document, line } = example;
				const isBefore = (other) => other.document === document && other.line < line && other.language === "sh";
				body = await send(documented().programs.findLast(isBefore).text);
			} else {
				body = await (await server.post(...request)).text();
			}
			const shown = read(example.text);
			const real = read(body.trim());
			assert.ok(real.length >= shown.length, body);
			for (const [index, value] of shown.entries()) assertShown(value, real[index], "response");
		});
	}
});

describe("configurations", () => {
	for (const [index, configuration] of programs.filter(({ language }) => language === "toml").entries()) {
		test(`${nameOf(configuration)} is one that \`serve\` starts with`, async () => {
			const name = file(`${index}.toml`);
			writeFileSync(name, configuration.text);
			const program = startProgram(process.execPath, [CLI, "serve", "--port", "0", "--config", name]);
			const [, url] = await program.prints(/ready on (\S+)/);
			assert.equal((await fetch(`${url}/health`)).status, 200);
			assert.equal(await program.stop(), 0);
		});
	}
});

describe("secrets", () => {
	const [tokens, keys] = commandsLike(/npx wrangler secret put/);

	test("the token of the commands reads, and no other does", async () => {
		const token = await run(`${tokens.text}\nprintf %s "$token"`);
		const secrets = { [TOKENS_SECRET]: readFileSync(file(TOKENS_SECRET), "utf8") };
		const serve = await startServe({ vars: { project: "rides", auth: { mode: "tokens" } }, secrets });
		const request = { entity_ids: ["a"], feature_names: ["b"] };
		const status = async (token) =>
			(await serve.post("/v1/features", request, { authorization: `Bearer ${token}` })).status;
		assert.deepEqual([await status(token), await status(`${token}0`)], [200, 401]);
		await serve.stop();
	});

	test("the keys of the command encrypt a store", async () => {
		await run(keys.text);
		const secrets = { [STORE_KEYS_SECRET]: readFileSync(file(STORE_KEYS_SECRET), "utf8") };
		const store = "--redis redis://127.0.0.1:6379";
		writeFileSync(file("private.toml"), "pseudonymize_keys = true");
		const before = new Set(await redis.call("KEYS", "*"));
		await run(`npx featheredge get -e ada-of-nobody -f score --config private.toml ${store}`, secrets);
		const added = (await redis.call("KEYS", "*")).filter((key) => !before.has(key));
		assert.ok(added.length > 0);
		for (const key of added) assert.doesNotMatch(`${key} ${await redis.call("GET", key)}`, /ada-of-nobody/);
	});
});

describe("the command line", () => {
	before(async () => {
		writeFileSync(file("drivers.csv"), "driver_id,conv_rate,acc_rate\n1001,0.5,0.25\n1002,0.75,1\n");
		const scenario = { name: "mixed_workload", request_count: 50, concurrency: 2 };
		const sizes = { entities_per_request: 2, features_per_request: 3 };
		writeFileSync(file("scenarios.json"), JSON.stringify([{ ...scenario, ...sizes }]));
		writeFileSync(file("ids.csv"), "driver_id\n1003\n1004\n");
		const columns = [
			{ name: "driver_id", data: [1005n, 1006n], type: "INT64" },
			{ name: "conv_rate", data: [0.5, 0.75], type: "DOUBLE" },
			{ name: "event_timestamp", data: [new Date(), new Date()], type: "TIMESTAMP" },
		];
		writeFileSync(file("drivers.parquet"), Buffer.from(parquetWriteBuffer({ columnData: columns })));
	});

	/** What each command must do beside succeeding; `more` are options that make it short. */
	const COMMANDS = {
		get: { check: (output) => assert.match(output, /│ 1001 +│ driver_hourly_stats:conv_rate +│ \S+ +│ PRESENT/) },
		warm: { more: "--json", check: (output) => assert.equal(JSON.parse(output).rows, 2) },
		bench: {
			more: "--scale 0.02 --repeats 1",
			check(output, { text }) {
				if (text.includes("history")) return assert.match(output, /│ run +│ began|no runs yet/);
				const [, saved] = /--save (\S+)/.exec(text) ?? [];
				if (saved !== undefined) assert.ok(existsSync(file(saved)));
				assert.match(output, /mixed_workload/);
				if (text.includes("--compare")) assert.match(output, /compared with run \S+ of/);
			},
		},
		stats: { check: (output) => assert.match(output, /l1/i) },
	};

	for (const command of commandsLike(/^npx featheredge /)) {
		const [, , name] = command.text.split(" ");
		test(`${nameOf(command)} does what it is for`, async () => {
			if (name === "serve") {
				const program = start(`exec ${command.text}`, { MORE: "--port 0" });
				const [, url] = await program.prints(/ready on (\S+)/);
				assert.equal((await fetch(`${url}/ready`)).status, 200);
				assert.equal(await program.stop(), 0);
				return;
			}
			const { more, check } = COMMANDS[name];
			// A history takes none of a run's options.
			const MORE = command.text.includes(" history") ? "" : (more ?? "");
			check(await run(command.text, { MORE, FEATHEREDGE_BENCH_HISTORY: file("history.jsonl") }), command);
		});
	}
});

test("every program of this file's is one of the kinds that it runs", () => {
	const isKind = ({ language, text }) =>
		["json", "toml"].includes(language) ||
		(language === "sh" && /^(?:curl|npx featheredge) |npx wrangler secret put/.test(text));
	assert.ok(programs.length > 20);
	assert.deepEqual(programs.filter((program) => !isKind(program)).map(nameOf), []);
});
