#!/usr/bin/env node
// The command line: `npx featheredge`.

import { readFileSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { EXIT, exitCodeOf, Failure } from "./failure.js";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

function whole(text) {
	if (!/^\d+$/.test(text)) throw new InvalidArgumentError("expected a whole number.");
	return Number(text);
}

function port(text) {
	const number = whole(text);
	if (number > 65_535) throw new InvalidArgumentError("expected a number up to 65535.");
	return number;
}

function positive(text) {
	if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("expected a whole number above 0.");
	return Number(text);
}

function above0(text) {
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

const JSON_OPTION = ["--json", "print JSON, and nothing else"];
const CONFIG = [
	"--config <file>",
	"settings (TOML or JSON): the table of docs/reference/configuration.md, or a wrangler file that has it",
];
const ORIGIN = [
	"--origin <url>",
	"take features from a Feast server, or any origin of its contract, instead of the synthetic one",
];
const REDIS = ["--redis <url>", "keep rows in Redis: redis://HOST:PORT; several of a cluster separated by commas"];

/** Commands are loaded when they are called for, since each has libraries of its own. */
const act = (load) => async (options) => {
	const command = await load();
	await command(options);
};

const program = new Command("featheredge")
	.description("Serves machine-learning features from memory, from Redis, or from where they come from.")
	.version(version)
	.showHelpAfterError("(add --help for the options)")
	.exitOverride();

program
	.command("serve")
	.description("serve the HTTP API on Node")
	.option("--port <n>", "the port; 0 for a free one", port, 8787)
	.option("--host <address>", "the address to listen on", "127.0.0.1")
	.option(...CONFIG)
	.option(...ORIGIN)
	.option(...REDIS)
	.option(...JSON_OPTION)
	.action(act(async () => (await import("./serve.js")).serve));

program
	.command("get")
	.description("make one request, and show the answer as a table")
	.requiredOption(
		"-e, --entities <ids...>",
		"ids separated by commas, or COLUMN=VALUES; a number is one, and in double quotes a text",
	)
	.option("-f, --features <names...>", "references separated by commas: view:feature, or feature")
	.option("-s, --service <name>", "a feature service in place of features")
	.addOption(new Option("--priority <level>", "who goes first").choices(["low", "normal", "high", "critical"]))
	.addOption(new Option("--consistency <level>", "how fresh").choices(["eventual", "bounded", "strong"]))
	.option("--max-staleness <seconds>", "how old a value may be", whole)
	.option("--url <url>", "ask this server, in place of an engine in this process")
	.option(...CONFIG)
	.option(...ORIGIN)
	.option(...REDIS)
	.option(...JSON_OPTION)
	.action(act(async () => (await import("./get.js")).get));

program
	.command("warm")
	.description("bring rows into a store, or to a server, ahead of the first request")
	.option("--from <file>", "a file of rows: .parquet, .csv or .ndjson")
	.option("-e, --entities <columns...>", "in place of a file, the rows of these: COLUMN=VALUES")
	.requiredOption("--view <name>", "the feature view that they are rows of")
	.option("--keys <columns>", "the columns of the file that key it, separated by commas", list)
	.option("--features <columns>", "the columns that are features; all others without it", list)
	.option("--event-time <column>", "the column with the time of the event behind each row")
	.option("--text <columns>", "columns of a CSV whose values are texts, even where they look like numbers", list)
	.option("--batch <rows>", "rows at a time; by default 1000 to Redis, 10000 to a file, 800 to a server", positive)
	.option("--restart", "begin anew, although an earlier run got part of the way")
	.option("--kv-bulk <file>", "write files for `wrangler kv bulk put`")
	.option("--url <url>", "send the rows to this server, which keeps them in its memory and stores")
	.option(
		"--fetch <features>",
		"have these fetched, in place of the file's values: by the server, or from --origin",
		list,
	)
	.option("--origin <url>", "what a store's rows are fetched from: a Feast server, or any origin of its contract")
	.option(...REDIS)
	.option(...CONFIG)
	.option(...JSON_OPTION)
	.action(act(async () => (await import("./warm.js")).warm));

program
	.command("bench")
	.description("run the benchmark's scenarios, in this process or on a server")
	.option("--url <url>", "measure this server, in place of an engine in this process")
	.option("--repeats <n>", "how often each scenario is run", positive, 5)
	.option("--scale <share>", "a share of the requests, for a quick look", share, 1)
	.option("--scenarios <file>", "scenarios (JSON) in place of the built-in ones")
	.option("--only <names>", "only these scenarios, separated by commas", list)
	.option("--entities <n>", "in place of what the scenarios say: entities of a request", positive)
	.option("--features <n>", "features of a request", positive)
	.option("--concurrency <n>", "how many requests are under way at the most", positive)
	.option("--rate <per second>", "begin requests at this rate, whether or not others have ended (open loop)", above0)
	.option("--requests <n>", "how many requests", positive)
	.option(
		"--duration <seconds>",
		"for how long requests are begun; without --requests as many as there is time for",
		above0,
	)
	.option("--warm-up <n>", "requests that come first and are not measured", whole)
	.option("--popularity <kind>", "sequential, uniform:POPULATION, zipf:POPULATION:EXPONENT, or a file of ids (JSON)")
	.option("--seed <n>", "what all draws follow from", whole)
	.option(
		"--compare <file>",
		"tell how the run differs from an earlier one: what --json or --save gave, or the page's export",
	)
	.option("--save <file>", "keep the run (JSON), for a later --compare or the page")
	.addOption(
		new Option("--l2 <store>", "the store of the engine in this process").choices(["memory", "none"]).default("memory"),
	)
	.option(...JSON_OPTION)
	.action(act(async () => (await import("./bench.js")).bench));

const WATCHED = ["--url <url>", "the server that is looked at", "http://127.0.0.1:8787"];
const scope = () =>
	new Option("--scope <scope>", "of whom: the isolate that answers, or all of a Worker's")
		.choices(["isolate", "deployment"])
		.default("isolate");

program
	.command("stats")
	.description("show what a server measured: its promise, its tiers, its latencies, its alerts")
	.option(...WATCHED)
	.addOption(scope())
	.option(...JSON_OPTION)
	.action(act(async () => (await import("./stats.js")).stats));

program
	.command("top")
	.description("show the same again and again")
	.option(...WATCHED)
	.addOption(scope())
	.option("--interval <seconds>", "how often", whole, 2)
	.option("--count <n>", "how many times, before it ends", whole)
	.option(...JSON_OPTION)
	.action(act(async () => (await import("./stats.js")).top));

try {
	await program.parseAsync();
} catch (error) {
	if (error instanceof CommanderError) {
		process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
	} else {
		// What bears no code is a fault of ours, and its stack tells where.
		const isForPeople = error instanceof Failure || error.code !== undefined;
		process.exitCode = exitCodeOf(error);
		const { message } = error;
		if (process.argv.includes("--json")) {
			const stack = isForPeople ? undefined : error.stack;
			console.error(JSON.stringify({ error: message, exit_code: process.exitCode, stack }));
		} else console.error(isForPeople ? `error: ${message}` : error);
	}
}
