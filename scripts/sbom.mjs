// Writes what each build is made of, as a software bill of materials (CycloneDX 1.6), in build/sbom/: worker.json, npm.json
// and page.json.
//
//   npm run sbom
//
// Crates come from cargo's own resolution for wasm, and packages from package-lock.json: those that npm/cli and the page import, which are
// bundled, and what they need. Nothing is downloaded, and the same sources give the same bytes.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fromRoot } from "../tests/support/root.mjs";
import { main, mustRun } from "../tests/support/run.mjs";

/** The crates that become modules. */
const [CORE, BENCHMARK] = ["featheredge", "featheredge-benchmark-wasm"];

const read = (...path) => readFileSync(fromRoot(...path), "utf8");

/** The checksums of Cargo.lock, by name and version. */
function checksums() {
	const entries = read("Cargo.lock").matchAll(/name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"/g);
	return new Map([...entries].map(([, name, version, checksum]) => [`${name}@${version}`, checksum]));
}

/** The crates in the modules that are made of these crates, with these features. */
async function crates(roots, features = []) {
	const args = ["--format-version", "1", "--locked", "--offline", "--filter-platform", "wasm32-unknown-unknown"];
	args.push(...features.flatMap((feature) => ["--features", feature]));
	const text = await mustRun("cargo", ["metadata", ...args], { capture: true });
	// cargo's warnings stand before it.
	const { packages, resolve } = JSON.parse(text.slice(text.indexOf("{")));
	const packageOf = new Map(packages.map((entry) => [entry.id, entry]));
	const nodeOf = new Map(resolve.nodes.map((node) => [node.id, node]));
	const known = checksums();
	const found = new Map();
	const waiting = packages.filter(({ name }) => roots.includes(name)).map(({ id }) => id);
	for (const id of waiting) {
		if (found.has(id)) continue;
		const { name, version, license, targets } = packageOf.get(id);
		// A macro runs in the compiler, and what it needs with it.
		const isMacro = targets.some(({ kind }) => kind.includes("proc-macro"));
		const needs = nodeOf
			.get(id)
			.deps.filter(({ dep_kinds }) => !isMacro && dep_kinds.some(({ kind }) => kind === null))
			.map(({ pkg }) => pkg);
		waiting.push(...needs);
		const checksum = known.get(`${name}@${version}`);
		const hashes = checksum && [{ alg: "SHA-256", content: checksum }];
		found.set(id, { type: "cargo", name, version, license, hashes, isMacro, needs });
	}
	const reference = (id) => purl(found.get(id));
	return [...found.values()].map((entry) => ({ ...entry, needs: entry.needs.map(reference) }));
}

/** The packages that the files of a folder import, and those that they need, where npm has put them. */
function bundled(source) {
	const { packages } = JSON.parse(read("package-lock.json"));
	const folder = fromRoot(source);
	const sources = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".js"));
	const text = sources.map((name) => read(source, name)).join("\n");
	const imports = [...text.matchAll(/(?:from |import |import\()"((?:@[\w.-]+\/)?[\w.-]+)[^"]*"/g)].map(
		([, name]) => name,
	);
	const isThere = (path) => packages[path] !== undefined;
	/** Node's own way: beside whoever asks, then further up. */
	const resolve = (from, name) => {
		for (let base = from; ; base = base.slice(0, Math.max(0, base.lastIndexOf("node_modules/") - 1))) {
			const path = `${base === "" ? "" : `${base}/`}node_modules/${name}`;
			if (isThere(path)) return path;
			if (base === "") return undefined;
		}
	};
	const found = new Map();
	const waiting = [...new Set(imports)].map((name) => resolve("", name)).filter(Boolean);
	for (const path of waiting) {
		if (found.has(path)) continue;
		const { version, license, integrity, dependencies = {} } = packages[path];
		const needs = Object.keys(dependencies).flatMap((name) => resolve(path, name) ?? []);
		waiting.push(...needs);
		const [algorithm, digest] = integrity.split("-");
		const hashes = [{ alg: algorithm.replace("sha", "SHA-"), content: Buffer.from(digest, "base64").toString("hex") }];
		const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
		found.set(path, { type: "npm", name, version, license, hashes, needs });
	}
	return [...found.values()].map((entry) => ({ ...entry, needs: entry.needs.map((path) => purl(found.get(path))) }));
}

/** A package URL: https://github.com/package-url/purl-spec */
function purl({ type, name, version }) {
	return `pkg:${type}/${name.replace("@", "%40")}@${version}`;
}

function component({ type, name, version, license, hashes, isMacro }) {
	const reference = purl({ type, name, version });
	return {
		type: "library",
		"bom-ref": reference,
		name,
		version,
		...(isMacro && { scope: "excluded" }),
		...(hashes && { hashes }),
		licenses: [{ expression: license.replaceAll("/", " OR ") }],
		purl: reference,
	};
}

function document(name, parts) {
	const { version } = JSON.parse(read("package.json"));
	const byReference = new Map(parts.map((part) => [purl(part), part]));
	const references = [...byReference.keys()].sort();
	const whole = { type: "application", "bom-ref": name, name, version, licenses: [{ expression: "Apache-2.0" }] };
	return {
		$schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
		bomFormat: "CycloneDX",
		specVersion: "1.6",
		version: 1,
		metadata: { component: whole },
		components: references.map((reference) => component(byReference.get(reference))),
		dependencies: [
			{ ref: name, dependsOn: references },
			...references.map((ref) => ({ ref, dependsOn: [...new Set(byReference.get(ref).needs)].sort() })),
		],
	};
}

await main(async () => {
	mkdirSync(fromRoot("build/sbom"), { recursive: true });
	const builds = {
		worker: await crates([CORE], ["durable-objects"]),
		npm: [...(await crates([CORE, BENCHMARK])), ...bundled("npm/cli")],
		page: [...(await crates([CORE, BENCHMARK])), ...bundled("www/src")],
	};
	for (const [name, parts] of Object.entries(builds)) {
		const text = JSON.stringify(document(`featheredge-${name}`, parts), null, "\t");
		writeFileSync(fromRoot("build/sbom", `${name}.json`), `${text}\n`);
		console.log(`build/sbom/${name}.json: ${parts.length} components`);
	}
});
