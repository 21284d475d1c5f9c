// `npm run deploy`, against a double of Cloudflare's API: what it asks of an account, and what it uploads.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { build } from "../support/build.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startProgram } from "../support/program.mjs";
import { fromRoot } from "../support/root.mjs";

const ACCOUNT = "0123456789abcdef0123456789abcdef";
const NAMESPACE = "fedcba9876543210fedcba9876543210";

before(() => build("worker"));

/** An account with these KV namespaces; it takes any upload. */
function startAccount(namespaces) {
	const result = (value) => ({
		json: {
			success: true,
			errors: [],
			messages: [],
			result: value,
			result_info: { page: 1, per_page: 100, count: 1, total_count: 1 },
		},
	});
	return startOrigin(({ method, path, json }) => {
		if (path.includes("/storage/kv/namespaces")) {
			if (method === "GET") return result(/[?&]page=[2-9]/.test(path) ? [] : namespaces);
			namespaces.push({ id: NAMESPACE, title: json.title });
			return result(namespaces.at(-1));
		}
		// Whether this Worker's Durable Objects are there already.
		if (path.endsWith("/workers/scripts")) return result([]);
		if (path.endsWith("/assets-upload-session")) return result({ jwt: "assets", buckets: [] });
		if (path.endsWith("/subdomain") && !path.includes("/services/"))
			return result({ subdomain: "someone", enabled: true });
		if (method === "GET" && /\/(services|scripts)\/[^/?]+$/.test(path)) {
			return { status: 404, json: { success: false, errors: [{ code: 10_007, message: "not found" }], result: null } };
		}
		return result({
			id: "featheredge",
			available_on_subdomain: true,
			deployment_id: "1",
			startup_time_ms: 1,
			versions: [],
			deployments: [],
		});
	});
}

async function deploy(account, env = {}, ...options) {
	const program = startProgram("npm", ["run", "deploy", "--", ...options], {
		env: {
			CLOUDFLARE_API_BASE_URL: account.url,
			CLOUDFLARE_ACCOUNT_ID: ACCOUNT,
			CLOUDFLARE_API_TOKEN: "token",
			CI: "true",
			...env,
		},
	});
	try {
		assert.equal(await program.ends(60_000), 0, program.output());
	} finally {
		await program.stop();
		await account.stop();
	}
	return account.requests.find(({ method, path }) => method === "PUT" && path.includes("/workers/scripts/featheredge"));
}

test("`npm run deploy` creates a missing KV namespace, and uploads the Worker bound to it, with its settings and secret", async () => {
	const namespaces = [{ id: "another", title: "another" }];
	const account = await startAccount(namespaces);
	const upload = await deploy(
		account,
		{ FEATHEREDGE_ORIGIN_AUTHORIZATION: "Bearer of-the-origin" },
		"--origin",
		"https://feast.example",
	);
	assert.deepEqual(namespaces[1], { id: NAMESPACE, title: "featheredge-FEATURES" });
	const text = upload.body.toString("latin1");
	assert.match(text, /"type":"kv_namespace"[^}]*fedcba9876543210/);
	assert.match(text, /https:\/\/feast\.example/);
	assert.match(text, /"secret_text"[^}]*Bearer of-the-origin|Bearer of-the-origin[^}]*"secret_text"/);
	assert.match(text, /application\/wasm/);
	assert.match(text, /"type":"durable_object_namespace"[^}]*"class_name":"StorageShard"/);
	assert.match(text, /"new_sqlite_classes":\["StorageShard","InvalidationLog","MergedWindows"\]/);
});

test("`npm run deploy` uses an existing KV namespace, and writes no id or secret to the repository", async () => {
	const account = await startAccount([{ id: NAMESPACE, title: "featheredge-FEATURES" }]);
	const upload = await deploy(account);
	assert.match(upload.body.toString("latin1"), new RegExp(NAMESPACE));
	assert.ok(!account.requests.some(({ method, path }) => method === "POST" && path.includes("/kv/namespaces")));
	assert.doesNotMatch(readFileSync(fromRoot("wrangler.toml"), "utf8"), /[0-9a-f]{32}/);
});
