// Checks the promises of docs/consistency.md over real HTTP, by chance from a seed: docs/reliability.md says how.
//
//   npm run checker [-- --seconds N] [--seed TEXT] [--target serve] [--only KIND,...] [--quick] [--patient] [--json]
//
// Five minutes unless told otherwise. It fails at the first violation, with the operations that led to it; `--patient` goes on to the end.
// `--quick` builds the package without optimization.

import { parseArgs } from "node:util";
import { buildPackage, buildQuickPackage } from "./build.mjs";
import { checkNode, installPackages } from "./lib/prepare.mjs";
import { fromRoot, paths } from "./lib/root.mjs";
import { Failure, main } from "./lib/run.mjs";

await main(async () => {
	const { values } = parseArgs({
		options: {
			seconds: { type: "string", default: "300" },
			seed: { type: "string", default: String(Date.now()) },
			target: { type: "string", default: "serve" },
			only: { type: "string" },
			without: { type: "string" },
			package: { type: "string" },
			quick: { type: "boolean" },
			patient: { type: "boolean" },
			json: { type: "boolean" },
		},
	});
	checkNode();
	await installPackages();
	let packageDir = values.package;
	if (packageDir === undefined) {
		if (values.quick) packageDir = await buildQuickPackage(fromRoot("build/checker"));
		else {
			await buildPackage();
			packageDir = paths.package;
		}
	}
	const { check, reportOf } = await import("../tests/checker/run.mjs");
	const { KIND_NAMES } = await import("../tests/checker/plan.mjs");
	const kinds = values.only?.split(",") ?? KIND_NAMES;
	const unknown = kinds.find((kind) => !KIND_NAMES.includes(kind));
	if (unknown !== undefined) throw new Failure(`no kind \`${unknown}\`: expected one of ${KIND_NAMES.join(", ")}`);
	const { startRedis } = await import("../tests/npm/redis.mjs");
	const redis = await startRedis();
	let result;
	try {
		result = await check({
			packageDir,
			redisUrl: `redis://127.0.0.1:${redis.port}`,
			seconds: Number(values.seconds),
			seed: values.seed,
			kinds,
			avoided: values.without?.split(",") ?? [],
			isPatient: values.patient,
		});
	} finally {
		await redis.stop();
		redis.remove();
	}
	console.log(values.json ? JSON.stringify(result, null, "\t") : reportOf(result));
	if (result.violations.length > 0) process.exitCode = 1;
});
