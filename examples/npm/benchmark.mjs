// Measures an engine with a load of its own, and fails where the load misses its budget: a check for CI.
//
//   node benchmark.mjs

import { createEngine } from "featheredge";
import { createBenchmark, engineTarget, originTarget, syntheticOrigin, toMarkdown } from "featheredge/benchmark";

const benchmark = await createBenchmark();
const checkout = benchmark.register({
	name: "checkout",
	duration_ms: 500,
	entities_per_request: 10,
	features_per_request: 20,
	concurrency: 20,
	popularity: { zipf: { population: 500, exponent: 1.1 } },
	warm_up_requests: 500,
});

// The engine and the load straight at the origin call the same function.
const origin = syntheticOrigin({ delay_ms: 10 });
const run = await benchmark.run({
	suite: [{ scenario: checkout.name, caches: ["warm"], served_by: ["featheredge", "origin"] }],
	target: engineTarget({ createEngine, origin }),
	origin: originTarget(origin),
});
console.log(toMarkdown(run));

const budget = { scenarios: { checkout: { hit_ratio: 0.9, error_rate: 0 } } };
const { is_met: isMet, checks } = benchmark.checkBudget(run, budget);
for (const { words, is_met } of checks) console.log(`${is_met ? "met" : "MISSED"}: ${words}`);
process.exitCode = isMet ? 0 : 1;
