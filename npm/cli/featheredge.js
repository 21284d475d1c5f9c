#!/usr/bin/env node
// The command line: `npx featheredge`.

import { readFileSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { describe, EXIT, Failure } from "./failure.js";
import { endOnSignals } from "./interrupt.js";
import { flushed, guardOutput, printError, printErrorLines, printLines } from "./output.js";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

function wholeNumber(text) {
	if (!/^\d+$/.test(text)) throw new InvalidArgumentError("expected a whole number.");
	return Number(text);
}

function port(text) {
	const number = wholeNumber(text);
	if (number > 65_535) throw new InvalidArgumentError("expected a number up to 65535.");
	return number;
}

function positiveInteger(text) {
	if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("expected a whole number above 0.");
	return Number(text);
}

/** Timers take no longer times. */
const upTo = (most) => (text) => {
	const number = positiveInteger(text);
	if (number > most) throw new InvalidArgumentError(`expected a whole number above 0, up to ${most}.`);
	return number;
};

function positiveNumber(text) {
	const number = Number(text);
	if (!(number > 0 && number < Number.POSITIVE_INFINITY)) throw new InvalidArgumentError("expected a number above 0.");
	return number;
}

function share(text) {
	const number = Number(text);
	if (!(number > 0 && number <= 1)) throw new InvalidArgumentError("expected a number above 0, up to 1.");
	return number;
}

const list = (text, before = []) => [...before, ...text.split(",")];

const JSON_OPTION = ["--json", "print JSON only"];
const TIMEOUT = ["--timeout <ms>", "how long to wait for a response of the server", upTo(3_600_000), 30_000];
const CONFIG = [
	"--config <file>",
	"the configuration (TOML or JSON): the table of docs/reference/configuration.md, or a wrangler file with it",
];
const ORIGIN = [
	"--origin <url>",
	"fetch features from a Feast server, or another origin with its contract, instead of the synthetic one",
];
const REDIS = ["--redis <url>", "store rows in Redis: redis://HOST:PORT; servers of a cluster separated by commas"];

/** Loads a command when it runs, since each has its own libraries. */
const act = (load) => async (options) => {
	const command = await load();
	await command(options);
};

/** A secret under its old name would be ignored, and rows stored in clear. */
function refuseFormerSecret() {
	if (process.env.FEATHEREDGE_STORE_KEYS === undefined) return;
	throw new Failure("FEATHEREDGE_STORE_KEYS is now FEATHEREDGE_STORE_ENCRYPTION_KEYS", EXIT.configuration);
}

const program = new Command("featheredge")
	.description("Serves machine-learning features from memory, from Redis, or from their origin.")
	.version(version)
	.showHelpAfterError("(add --help for the options)")
	.configureOutput({ writeOut: printLines, writeErr: printErrorLines })
	.exitOverride()
	.hook("preAction", refuseFormerSecret);

program
	.command("serve")
	.description("serve the HTTP API on Node")
	.addHelpText(
		"after",
		`
Environment:
  FEATHEREDGE_OPERATOR_TOKEN             the bearer token of operators, who have all scopes; without it,
                                         nobody has the scope \`admin\`
  FEATHEREDGE_TOKENS                     the callers' tokens, for \`auth.mode = "tokens"\`
  FEATHEREDGE_ORIGIN_AUTHORIZATION       the \`Authorization\` of requests to the origin
  FEATHEREDGE_WEBHOOK_AUTHORIZATION      the \`Authorization\` of requests to \`alerts.webhook_url\`
  FEATHEREDGE_TRACES_AUTHORIZATION       the \`Authorization\` of requests to \`telemetry.traces_url\`
  FEATHEREDGE_STORE_ENCRYPTION_KEYS      the keys that encrypt rows in Redis

docs/reference/configuration.md describes the configuration.`,
	)
	.option("--port <n>", "the port; 0 for a free one", port, 8787)
	.option("--host <address>", "the address to listen on", "127.0.0.1")
	.option(...CONFIG)
	.option(...ORIGIN)
	.option(...REDIS)
	.option(...JSON_OPTION)
	.action(act(async () => (await import("./serve.js")).serve));

program
	.command("get")
	.description("send one request, and print the response as a table")
	.requiredOption(
		"-e, --entities <ids...>",
		"ids separated by commas, or COLUMN=VALUES; digits are a number, in double quotes a text",
	)
	.option("-f, --features <names...>", "references separated by commas: view:feature, or feature of the default view")
	.option("-s, --service <name>", "a feature service instead of features")
	.addOption(new Option("--priority <level>", "the priority under load").choices(["low", "normal", "high", "critical"]))
	.addOption(new Option("--consistency <level>", "the consistency level").choices(["eventual", "bounded", "strong"]))
	.option("--max-staleness <seconds>", "the maximum age of a value", wholeNumber)
	.option("--url <url>", "send to this server, instead of an engine in this process")
	.option(...TIMEOUT)
	.option(...CONFIG)
	.option(...ORIGIN)
	.option(...REDIS)
	.option(...JSON_OPTION)
	.action(act(async () => (await import("./get.js")).get));

program
	.command("warm")
	.description("load rows into a store or a server before the first request")
	.option("--from <file>", "a file of rows: .parquet, .csv or .ndjson")
	.option("-e, --entities <columns...>", "the rows of these entities, instead of a file: COLUMN=VALUES")
	.requiredOption("--view <name>", "the feature view of the rows")
	.option("--keys <columns>", "the key columns of the file, separated by commas", list)
	.option("--features <columns>", "the feature columns (default: all others)", list)
	.option("--event-time <column>", "the column with the event time of each row")
	.option("--text <columns>", "columns of a CSV whose values are texts, even if they look like numbers", list)
	.option(
		"--batch <rows>",
		"rows at a time (default: 1000 to Redis, 10000 to a file, 800 to a server)",
		positiveInteger,
	)
	.option("--restart", "start over, even if an earlier run was interrupted")
	.option("--kv-bulk <file>", "write files for `wrangler kv bulk put`")
	.option("--url <url>", "send the rows to this server, for its memory and stores")
	.option(...TIMEOUT)
	.option(
		"--fetch <features>",
		"fetch these features instead of reading the file's values: by the server, or from --origin",
		list,
	)
	.option("--origin <url>", "the origin of --fetch into a store: a Feast server, or another origin with its contract")
	.option(...REDIS)
	.option(...CONFIG)
	.option(...JSON_OPTION)
	.action(act(async () => (await import("./warm.js")).warm));

/** @param {string} text `5s:100,500ms:400` */
function stages(text) {
	return text.split(",").map((stage) => {
		const [, time, unit, rate] = /^([\d.]+)(ms|s|m):([\d.]+)$/.exec(stage.trim()) ?? [];
		const duration = Number(time) * { ms: 1, s: 1_000, m: 60_000 }[unit];
		if (!Number.isFinite(duration) || !Number.isFinite(Number(rate))) {
			throw new InvalidArgumentError("expected stages such as 5s:100,10s:400, each a duration and a rate per second.");
		}
		return { duration_ms: Math.ceil(duration), rate_per_second: Number(rate) };
	});
}

const OBJECTIVES = {
	p50: "p50_ms",
	p95: "p95_ms",
	p99: "p99_ms",
	availability: "availability",
	error_rate: "error_rate",
};

/** @param {string} text `p99=50,availability=0.999` */
function objectives(text) {
	return Object.fromEntries(
		text.split(",").map((part) => {
			const [name, value] = part.split("=");
			const number = Number(value);
			if (!Object.hasOwn(OBJECTIVES, name.trim()) || !value || !(number >= 0)) {
				throw new InvalidArgumentError(
					`expected objectives such as p99=50,error_rate=0.001, of ${Object.keys(OBJECTIVES).join(", ")}.`,
				);
			}
			return [OBJECTIVES[name.trim()], number];
		}),
	);
}

const benchCommand = program
	.command("bench")
	.description("measure what Featheredge gains: a popular load beside its origin, and the standard scenarios")
	.option("--url <url>", "measure this server, instead of an engine in this process")
	.option("--origin <url>", "a Feast server: the engine's origin, and what is measured beside it")
	.option("--delay <ms>", "the latency of the built-in origin", wholeNumber, 10)
	.option("--repeats <n>", "repetitions of each scenario; three estimate the noise", positiveInteger, 3)
	.option("--scale <share>", "a share of the requests, for a quick run", share, 1)
	.option("--scenarios <file>", "scenarios (JSON) instead of the built-in ones")
	.option("--only <names>", "only these scenarios, separated by commas", list)
	.option("--entities <n>", "entities per request, instead of the scenarios' value", positiveInteger)
	.option("--features <n>", "features per request", positiveInteger)
	.option("--concurrency <n>", "the maximum of concurrent requests", positiveInteger)
	.option(
		"--rate <per second>",
		"begin requests at this rate, whether or not others are complete (open loop)",
		positiveNumber,
	)
	.option("--stages <stages>", "an open loop with ramps, such as 5s:100,10s:400", stages)
	.option("--requests <n>", "the number of requests", positiveInteger)
	.option(
		"--duration <seconds>",
		"how long to begin requests; without --requests their number is not limited",
		positiveNumber,
	)
	.option("--warm-up <n>", "unmeasured requests before the measured ones", wholeNumber)
	.option("--popularity <kind>", "sequential, uniform:POPULATION, zipf:POPULATION:EXPONENT, or a file of ids (JSON)")
	.option("--seed <n>", "the seed of the random numbers", wholeNumber)
	.option("--timeout <ms>", "how long to wait for a response", upTo(3_600_000))
	.option("--targets <objectives>", "objectives, such as p99=50,error_rate=0.001", objectives)
	.option("--find-rate", "find the highest rate of the first scenario that keeps the objectives")
	.option("--compare <run>", "compare with an earlier run: a file, an id of the history, `latest`, or `baseline`")
	.option("--budget <file>", "fail with exit code 5 where the run misses this budget (JSON)")
	.option("--baseline <run>", "the run that the budget compares with, if it is not that of --compare")
	.option("--save <file>", "write the run (JSON), for a later --compare or the page")
	.option("--no-history", "do not save the run in the history")
	.option("--name <text>", "what the run is called")
	.option("--notes <text>", "what is to be known of it")
	.addOption(
		new Option("--l2 <store>", "the store of the engine in this process").choices(["memory", "none"]).default("memory"),
	)
	.addOption(
		new Option("--format <format>", "the form of the results")
			.choices(["table", "json", "csv", "markdown"])
			.default("table"),
	)
	.option(...JSON_OPTION)
	.action(act(async () => (await import("./bench.js")).bench));

/** Loads a command of the history when it runs. Commander gives `--json` to `bench`, which has it too. */
const ofHistory =
	(name) =>
	async (...given) =>
		(await import("./bench-history.js"))[name](...given.slice(0, -2), given.at(-1).optsWithGlobals());

const historyCommand = benchCommand
	.command("history")
	.description("the runs that were saved, newest first")
	.option("--limit <n>", "at most so many", positiveInteger, 20)
	.option(...JSON_OPTION)
	.action(ofHistory("list"));
historyCommand
	.command("show <run>")
	.description("a run, by its id or its beginning")
	.option(...JSON_OPTION)
	.action(ofHistory("show"));
historyCommand.command("remove <run>").description("delete a run").action(ofHistory("remove"));
historyCommand.command("name <run> <text>").description("name a run").action(ofHistory("rename"));
historyCommand.command("baseline <run>").description("make a run the baseline").action(ofHistory("makeBaseline"));

const SERVER = ["--url <url>", "the server", "http://127.0.0.1:8787"];
const scope = () =>
	new Option("--scope <scope>", "the isolate that responds, or all isolates of a Worker")
		.choices(["isolate", "deployment"])
		.default("isolate");

program
	.command("stats")
	.description("show a server's telemetry: its SLO, tiers, latencies and alerts")
	.option(...SERVER)
	.option(...TIMEOUT)
	.addOption(scope())
	.option(...JSON_OPTION)
	.action(act(async () => (await import("./stats.js")).stats));

program
	.command("top")
	.description("show the same, refreshed")
	.option(...SERVER)
	.option(...TIMEOUT)
	.addOption(scope())
	.option("--interval <seconds>", "the time between refreshes", upTo(86_400), 2)
	.option("--count <n>", "the number of refreshes", wholeNumber)
	.option(...JSON_OPTION)
	.action(act(async () => (await import("./stats.js")).top));

/** Says what an error is, and ends with its code. */
async function fail(error) {
	// Commander has said what is wrong with the options.
	if (error instanceof CommanderError) return end(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
	const { message, exitCode, stack } = describe(error);
	printError(
		process.argv.includes("--json") ? JSON.stringify({ error: message, exit_code: exitCode }) : `error: ${message}`,
	);
	if (stack !== undefined) console.error(stack);
	return end(exitCode);
}

/** Ends the process: a connection that a server keeps open must not keep it. */
async function end(exitCode) {
	await flushed();
	process.exit(exitCode);
}

guardOutput();
endOnSignals();
process.on("uncaughtException", fail);
// Node ends by itself where nothing is left to wait for, though a command has not ended.
process.once("beforeExit", () => fail(new Error("the command waits for nothing")));
await program.parseAsync().then(() => end(EXIT.ok), fail);
