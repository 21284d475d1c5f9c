// Runs Feast's own tests of its feature server and its remote online store, directly and through Featheredge: docs/internals/feast-suite.md.
//
//   npm run feast-suite -- --feast DIR [--version 0.67.0] [--host serve|worker ...] [--only PART_OF_A_PATH] [--python FILE]
//     [--json FILE] [--record]
//
// DIR is a checkout of Feast's sources, outside of this project. `--version` is the release that is tested, from PyPI, in an environment of its own;
// with `--python` it is the one of that interpreter. It fails where a test passes directly and not through Featheredge, and where none passes.

import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "../tests/support/build.mjs";
import { RECORDING, record, recordedRows, today } from "../tests/support/figures.mjs";
import { checkNode, installPackages } from "../tests/support/prepare.mjs";
import { installFeastSuite } from "../tests/support/python.mjs";
import { fromRoot, paths } from "../tests/support/root.mjs";
import { Failure, main, run } from "../tests/support/run.mjs";

const PLUGIN_FOLDER = fromRoot("tests/feast/suite");
const ONLINE_STORES = "tests/integration/online_store";

/** Feast's modules that ask a feature server something, by what the plug-in hands their tests. Each release has some of them. */
const GROUPS = {
	app: {
		title: "the application",
		modules: [
			"tests/unit/test_feature_server.py",
			"tests/unit/test_feature_server_async.py",
			"tests/unit/test_materialize_version_forwarding.py",
			"tests/unit/test_metrics.py",
		],
	},
	environment: {
		title: "the application",
		modules: [`${ONLINE_STORES}/test_python_feature_server.py`],
		args: ["--integration"],
	},
	"remote-store": {
		title: "the remote store",
		modules: [
			`${ONLINE_STORES}/test_universal_online.py`,
			`${ONLINE_STORES}/test_universal_online_types.py`,
			`${ONLINE_STORES}/test_push_features_to_online_store.py`,
			`${ONLINE_STORES}/test_universal_e2e.py`,
			"tests/integration/materialization/test_universal_e2e.py",
		],
		args: ["--integration"],
		env: { REMOTE_STORE: "1" },
	},
	"feast-serve": {
		title: "`feast serve`",
		modules: [`${ONLINE_STORES}/test_remote_online_store.py`],
		args: ["--integration"],
	},
};

/** What is built for each host. */
const TARGETS = { serve: "package", worker: "worker" };
const OPERATOR = "of-the-operator";
/** Whoever may call Feast may do everything, and Feast takes its time: these tests compare the two. */
const VARS = {
	auth: { anonymous_scopes: ["read", "write", "admin"] },
	origin: { timeout_ms: 60_000 },
	routing: { real_time_deadline_ms: 60_000 },
	deadlines: { default_ms: 60_000, adaptive_timeouts: false },
};
const GROUP_TIMEOUT_MS = 30 * 60_000;
/** What pytest ends with when all passed, and when some failed. */
const FINISHED = [0, 1];
const ABSENT = { outcome: "absent", reason: "", requests: 0 };

const fromCaller = (path) => resolve(process.env.INIT_CWD ?? process.cwd(), path);

/** Feast's tests alone, away from the sources beside them: what is tested is the release that is installed. */
function copyTests(checkout) {
	const sdk = join(fromCaller(checkout), "sdk/python");
	if (!existsSync(join(sdk, "tests/conftest.py")))
		throw new Failure(`\`${checkout}\` is no checkout of Feast's sources`);
	const folder = mkdtempSync(join(tmpdir(), "feast-suite-"));
	for (const name of ["tests", "pytest.ini"]) cpSync(join(sdk, name), join(folder, name), { recursive: true });
	return folder;
}

/**
 * Runs a group's modules.
 *
 * @param {string} log path of its log, and of the files beside it, without their endings
 * @returns {Promise<Map<string, { outcome: string, reason: string, requests: number }>>} each test's outcome, by its node id
 */
async function runModules({ modules, args = [], env }, { folder, python, port, url, token }, log) {
	mkdirSync(dirname(log), { recursive: true });
	const outcomes = `${log}.outcomes.jsonl`;
	const exchanges = `${log}.exchanges.jsonl`;
	for (const file of [outcomes, exchanges]) writeFileSync(file, "");
	const pytest = ["-m", "pytest", "-p", "over_http", "-p", "no:cacheprovider", ...args, ...modules];
	const { code } = await run(python, pytest, {
		cwd: folder,
		env: {
			PYTHONPATH: [PLUGIN_FOLDER, folder].join(delimiter),
			PYTHONDONTWRITEBYTECODE: "1",
			// Feast's tests run its command by the file, whose folder has modules named as Python's own.
			PYTHONSAFEPATH: "1",
			PATH: `${dirname(python)}${delimiter}${process.env.PATH}`,
			NO_PROXY: "127.0.0.1,localhost",
			FEAST_IS_LOCAL_TEST: "True",
			FEAST_USAGE: "False",
			FEAST_PORT: String(port),
			FEAST_URL: url,
			OPERATOR_TOKEN: token,
			OUTCOMES: outcomes,
			EXCHANGES: exchanges,
			...env,
		},
		log: `${log}.log`,
		timeoutMs: GROUP_TIMEOUT_MS,
	});
	if (!FINISHED.includes(code)) throw new Failure(`pytest ended with code ${code}: ${log}.log`);
	const lines = readFileSync(outcomes, "utf8").split("\n").filter(Boolean);
	return new Map(lines.map((line) => JSON.parse(line)).map(({ test, ...outcome }) => [test, outcome]));
}

async function startEdge(host, origin) {
	const options = { origin, operatorToken: OPERATOR, vars: VARS };
	if (host === "serve") return (await import("../tests/support/serve.mjs")).startServe(options);
	return (await import("../tests/support/worker.mjs")).startWorker(options);
}

/** Runs a group directly, then through each host: the outcomes of the tests that ask a server something, by how they were run. */
async function compare(name, group, { hosts, label, ...settings }) {
	const { freePort } = await import("../tests/support/workerd.mjs");
	const port = await freePort();
	const origin = `http://127.0.0.1:${port}`;
	const log = (way) => join(paths.logs, "feast-suite", `${label}-${name}-${way}`);
	const ways = { direct: await runModules(group, { ...settings, port, url: origin }, log("direct")) };
	for (const host of hosts) {
		const edge = await startEdge(host, origin);
		try {
			ways[host] = await runModules(group, { ...settings, port, url: edge.url, token: OPERATOR }, log(host));
		} finally {
			await edge.stop();
		}
	}
	const tests = new Set(Object.values(ways).flatMap((outcomes) => [...outcomes.keys()]));
	const outcomesOf = (test) => Object.entries(ways).map(([way, outcomes]) => [way, outcomes.get(test) ?? ABSENT]);
	return [...tests]
		.map((test) => ({ test: nameOf(test), outcomes: Object.fromEntries(outcomesOf(test)) }))
		.filter(({ outcomes }) => Object.values(outcomes).some(({ requests }) => requests > 0));
}

/** A node id without its folders, and without how Feast's parameters look as objects. */
const nameOf = (id) =>
	id
		.replace(/^.*\//, "")
		.replace(/ParameterSet\(values=\(([^)]*?),?\), marks=\[\], id=None\)/g, "$1")
		.replace(/(\\n|\s)+/g, " ");

const passes = ({ outcomes }, way) => outcomes[way].outcome === "passed";
const differs = (row, host) => passes(row, "direct") && !passes(row, host);

function print(rows, hosts) {
	const line = (mark, outcomes, test) =>
		console.log(`${mark} ${outcomes.map((outcome) => outcome.padEnd(8)).join(" ")} ${test}`);
	line(" ", ["direct", ...hosts], "test");
	for (const row of rows) {
		const different = hosts.filter((host) => differs(row, host));
		const outcomes = ["direct", ...hosts].map((way) => row.outcomes[way].outcome);
		line(different.length > 0 ? "≠" : " ", outcomes, row.test);
		for (const host of different) console.log(`  ${row.outcomes[host].reason.trim().split("\n").at(-1)}`);
	}
}

/** Puts a release's rows in place of those that docs/internals/feast-suite.md has of it. */
function recordRelease(values, rows) {
	if (!values.record) return;
	const count = (tests) => String(tests.length);
	const through = (tests, host) => count(tests.filter((row) => passes(row, "direct") && passes(row, host)));
	const groups = [...new Set(rows.map(({ group }) => group))];
	const measured = groups.map((group) => {
		const tests = rows.filter((row) => row.group === group);
		return {
			release: values.version,
			date: today(),
			tests: group,
			asked: count(tests),
			"pass directly": count(tests.filter((row) => passes(row, "direct"))),
			"through serve": through(tests, "serve"),
			"through worker": through(tests, "worker"),
		};
	});
	const others = recordedRows(values, "feast-suite").filter(({ release }) => release !== values.version);
	record(values, { "feast-suite": [...measured, ...others] });
}

await main(async () => {
	const { values } = parseArgs({
		options: {
			feast: { type: "string" },
			version: { type: "string", default: "0.67.0" },
			host: { type: "string", multiple: true, default: ["serve"] },
			only: { type: "string", default: "" },
			python: { type: "string" },
			json: { type: "string" },
			...RECORDING,
		},
	});
	const { feast, version, host: hosts, only } = values;
	if (feast === undefined) throw new Failure("`--feast` is missing: a checkout of Feast's sources");
	if (!hosts.every((host) => Object.hasOwn(TARGETS, host))) throw new Failure("`--host` is `serve` or `worker`");
	if (values.record && (only !== "" || !Object.keys(TARGETS).every((host) => hosts.includes(host))))
		throw new Failure("`--record` needs all tests through each host: leave out `--only`, and give both hosts");
	checkNode();
	await installPackages();
	const folder = copyTests(feast);
	try {
		const isChosen = (path) => path.includes(only) && existsSync(join(folder, path));
		const groups = Object.entries(GROUPS)
			.map(([name, group]) => [name, { ...group, modules: group.modules.filter(isChosen) }])
			.filter(([, { modules }]) => modules.length > 0);
		if (groups.length === 0)
			throw new Failure(`\`${feast}\` has no module of these tests with \`${only}\` in its path`);
		const python = values.python === undefined ? await installFeastSuite(version) : fromCaller(values.python);
		await build(...hosts.map((host) => TARGETS[host]));

		const rows = [];
		for (const [name, group] of groups) {
			const compared = await compare(name, group, { hosts, label: version, folder, python });
			rows.push(...compared.map((row) => ({ group: group.title, ...row })));
		}
		print(rows, hosts);
		if (values.json !== undefined) writeFileSync(fromCaller(values.json), JSON.stringify(rows, null, "\t"));
		const passed = rows.filter((row) => passes(row, "direct"));
		console.log(`\n${rows.length} tests of Feast ${version} ask a server something: ${passed.length} pass directly`);
		for (const host of hosts) {
			const different = passed.filter((row) => differs(row, host)).length;
			console.log(`${passed.length - different} of these pass through \`${host}\``);
			if (different > 0) process.exitCode = 1;
		}
		if (passed.length === 0) process.exitCode = 1;
		else recordRelease(values, rows);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
});
