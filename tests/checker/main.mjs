// Checks the promises of docs/guide/consistency.md over real HTTP, by chance from a seed: docs/internals/reliability.md says how.
//
//   npm run checker [-- --target serve|worker] [--seconds N] [--seed TEXT] [--only KIND,...] [--without PART,...] [--quick]
//     [--patient] [--log FILE] [--json] [--record]
//   npm run checker -- --mutants [--mutant PART_OF_A_NAME] [--seconds N] [--record]
//
// Five minutes unless told otherwise. It fails at the first violation, with the operations that led to it; `--patient` goes on to the end.
// `--target` is `npx featheredge serve`, with Redis, or the Worker in workerd. `--quick` builds it without optimization. `--mutants` switches each mend off, and fails where that is not found within a minute.

import { parseArgs } from "node:util";
import { build, buildQuick } from "../support/build.mjs";
import { RECORDING, record } from "../support/figures.mjs";
import { checkNode, installPackages } from "../support/prepare.mjs";
import { fromRoot, paths } from "../support/root.mjs";
import { Failure, main } from "../support/run.mjs";

await main(async () => {
	const { values } = parseArgs({
		options: {
			seconds: { type: "string" },
			seed: { type: "string", default: String(Date.now()) },
			target: { type: "string", default: "serve" },
			only: { type: "string" },
			without: { type: "string" },
			built: { type: "string" },
			log: { type: "string" },
			quick: { type: "boolean" },
			patient: { type: "boolean" },
			mutants: { type: "boolean" },
			mutant: { type: "string" },
			json: { type: "boolean" },
			...RECORDING,
		},
	});
	checkNode();
	await installPackages();
	if (!["serve", "worker"].includes(values.target)) throw new Failure("`--target` is `serve` or `worker`");
	const product = values.mutants ? undefined : await productOf(values);
	const { startRedis } = await import("../support/redis.mjs");
	const redis = await startRedis();
	const redisUrl = `redis://127.0.0.1:${redis.port}`;
	try {
		if (values.mutants) await checkMutants(values, redisUrl);
		else await checkProduct(values, { ...product, redisUrl });
	} finally {
		await redis.stop();
		redis.remove();
	}
});

async function productOf({ target, built, quick }) {
	const folder = fromRoot("build/checker");
	const what = target === "worker" ? "worker" : "package";
	if (built === undefined && !quick) await build(what);
	const dir = built ?? (quick ? await buildQuick(what, folder) : paths[what]);
	return target === "worker" ? { workerDir: dir } : { packageDir: dir };
}

async function checkProduct(values, product) {
	if (values.record && (values.only ?? values.without) !== undefined)
		throw new Failure("`--record` needs all kinds: leave out `--only` and `--without`");
	const { check, reportOf, rowsOf } = await import("./run.mjs");
	const { AVOIDABLE, KIND_NAMES, WORKER_KIND_NAMES } = await import("./plan.mjs");
	const kinds = named(values.only, product.workerDir === undefined ? KIND_NAMES : WORKER_KIND_NAMES);
	const avoided = named(values.without, AVOIDABLE);
	const seconds = Number(values.seconds ?? 300);
	const { seed, log, patient: isPatient } = values;
	const result = await check({ ...product, log, seconds, seed, kinds, avoided, isPatient });
	console.log(values.json ? JSON.stringify(result, null, "\t") : reportOf(result));
	record(values, { [`checker-${values.target}`]: rowsOf(result) });
	if (result.violations.length > 0) process.exitCode = 1;
}

async function checkMutants(values, redisUrl) {
	const { seconds = "60", seed, mutant, json } = values;
	if (values.record && mutant !== undefined) throw new Failure("`--record` needs all mutants: leave out `--mutant`");
	const { checkMutants } = await import("./mutants.mjs");
	const rows = await checkMutants({ redisUrl, seconds: Number(seconds), seed, only: mutant });
	if (json) console.log(JSON.stringify(rows, null, "\t"));
	else console.table(rows);
	const found = rows.filter(({ is_found: isFound }) => isFound);
	record(values, {
		"checker-mutants": found.map(({ off, violation, after_s: after }) => ({
			disabled: off,
			violation,
			"after, s": after,
		})),
	});
	const unlike = rows.filter(({ as_expected: isExpected }) => !isExpected).map(({ off }) => off);
	if (unlike.length > 0) throw new Failure(`not as expected: ${unlike.join("; ")}`);
}

/** What stands in an option, each one of `known`. */
function named(list, known) {
	const names = list?.split(",");
	const unknown = names?.find((name) => !known.includes(name));
	if (unknown !== undefined) throw new Failure(`no \`${unknown}\`: expected some of ${known.join(", ")}`);
	return names;
}
