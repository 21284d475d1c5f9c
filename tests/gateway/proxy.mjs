// What goes from a client to the origin, and back, byte by byte. The same for every host with a gateway.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { range } from "../support/features.mjs";
import { openRaw, startRawOrigin } from "../support/raw.mjs";
import { until } from "../support/wait.mjs";

const OPERATOR = "of-the-operator";
const PUSHED = JSON.stringify({ feature_view_name: "stats", df: { driver_id: [1], a: [1] } });

/** An answer as bytes. */
const answer = (status, headers, body) =>
	[`HTTP/1.1 ${status} Whatever`, ...headers, `content-length: ${body.length}`, "", body].join("\r\n");

/**
 * @param {object} hosts
 * @param {(options: import("../support/worker.mjs").WorkerOptions) => Promise<import("../support/worker.mjs").Host>} hosts.start
 * @param {boolean} hosts.saysContinue whether the host can say `100 Continue`
 */
export function testProxy({ start, saysContinue }) {
	describe("between a client and the origin", () => {
		const plain = () => answer(200, ["content-type: application/json"], "{}");
		let answering = plain;
		let origin;
		let host;
		/** Connections that end with their test. */
		const opened = [];
		const open = async () => {
			const raw = await openRaw(host.port);
			opened.push(raw);
			return raw;
		};
		before(async () => {
			origin = await startRawOrigin((request, socket) => answering(request, socket));
			const vars = { auth: { anonymous_scopes: ["read", "write"] }, limits: { body_bytes: 10_000 } };
			host = await start({ origin, operatorToken: OPERATOR, vars });
		});
		afterEach(() => {
			for (const raw of opened.splice(0)) raw.close();
			origin.requests.length = 0;
			answering = plain;
		});
		after(async () => {
			await host?.stop();
			await origin?.stop();
		});
		const head = (method, path, ...headers) => [`${method} ${path} HTTP/1.1`, "host: features.example.com", ...headers];
		const length = (body) => `content-length: ${body.length}`;

		test("what belongs to the client's connection goes no further, and all else does", async () => {
			const raw = await open();
			const own = [
				"connection: keep-alive, x-hop",
				"keep-alive: timeout=77",
				"x-hop: of-the-connection",
				"proxy-authorization: Basic of-the-proxy",
				"proxy-connection: keep-alive",
				"te: trailers",
				"trailer: x-late",
				"upgrade: h2c",
			];
			raw.send(
				head(
					"POST",
					"/push",
					...own,
					"x-kept: yes",
					"traceparent: x",
					"tracestate: c=d",
					"baggage: a=b",
					length(PUSHED),
				),
				PUSHED,
			);
			assert.equal((await raw.answer()).status, 200);
			const [{ headers, body }] = origin.requests;
			assert.equal(body, PUSHED);
			assert.deepEqual([headers["x-kept"], headers.traceparent, headers.baggage], ["yes", "x", "a=b"]);
			assert.equal(headers.tracestate, "c=d");
			const gone = ["x-hop", "proxy-authorization", "proxy-connection", "trailer", "upgrade", "expect"];
			for (const name of gone) assert.equal(headers[name], undefined, name);
			assert.doesNotMatch(JSON.stringify(headers), /timeout=77|x-hop|h2c|trailers/);
			assert.notEqual(headers.host, "features.example.com");
		});

		test("what belongs to the origin's connection comes no further, and all else does", async () => {
			const own = [
				"connection: x-own, close",
				"x-own: 1",
				"keep-alive: timeout=77",
				"proxy-authenticate: Basic",
				"upgrade: h2c",
			];
			answering = () => answer(207, [...own, "x-kept: yes", "set-cookie: a=1", "set-cookie: b=2"], "kept");
			const raw = await open();
			raw.send(head("POST", "/push", length(PUSHED)), PUSHED);
			const { status, headers, body } = await raw.answer();
			assert.deepEqual([status, body, headers["x-kept"]], [207, "kept", "yes"]);
			assert.deepEqual(headers["set-cookie"], "a=1, b=2");
			for (const name of ["x-own", "proxy-authenticate", "upgrade"]) assert.equal(headers[name], undefined, name);
			assert.doesNotMatch(JSON.stringify(headers), /timeout=77|x-own|h2c/);
			answering = plain;
			raw.send(head("GET", "/health"));
			assert.equal((await raw.answer()).status, 200, "the client's connection goes on");
		});

		test("a client that expects to be told to continue is served once and whole", async () => {
			const raw = await open();
			raw.send(head("POST", "/push", "expect: 100-continue", length(PUSHED)));
			if (saysContinue) assert.equal((await raw.next()).status, 100);
			raw.socket.write(PUSHED);
			assert.equal((await raw.answer()).status, 200);
			assert.equal(origin.requests.length, 1);
			assert.equal(origin.requests[0].body, PUSHED);
			assert.equal(origin.requests[0].headers.expect, undefined);
		});

		test("a body that nobody reads harms no later request of its connection", async () => {
			const raw = await open();
			const large = "x".repeat(300_000);
			for (const [method, path, status, ...more] of [
				["POST", "/registry", 403],
				["GET", "/health", 200],
				["POST", "/v1/stats", 403],
				["POST", "/v1/features", 413],
				["DELETE", "/health", 405],
				["PUT", "/registry", 200, `authorization: Bearer ${OPERATOR}`],
			]) {
				raw.send(head(method, path, length(large), ...more), large);
				assert.equal((await raw.answer()).status, status, `${method} ${path}`);
			}
			raw.send(
				head("POST", "/v1/features", "transfer-encoding: chunked"),
				`${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`,
			);
			assert.equal((await raw.answer()).status, 413);
			raw.send(head("POST", "/registry", "transfer-encoding: chunked"), "3\r\nabc\r\n0\r\n\r\n");
			assert.equal((await raw.answer()).status, 403);
			raw.send(head("GET", "/health"));
			assert.equal((await raw.answer()).status, 200);
		});

		test("a request for what the origin has is passed on without a body that it may not have", async () => {
			const raw = await open();
			raw.send(head("GET", "/registry?a=b", length("{}")), "{}");
			assert.equal((await raw.answer()).body, "{}");
			assert.match(origin.requests[0].start, /^GET \/registry\?a=b /);
			assert.equal(origin.requests[0].body, "");
		});

		test("HEAD is answered by a head alone", async () => {
			answering = () => "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 77\r\n\r\n";
			const raw = await open();
			for (const path of ["/health", "/registry", "/metrics"]) {
				raw.send(head("HEAD", path));
				const { status, headers } = await raw.answer({ isHead: true });
				assert.equal(status, 200, path);
				if (path === "/registry") assert.equal(headers["content-length"], "77");
			}
			// workerd asks by GET.
			assert.match(origin.requests[0].start, /^(HEAD|GET) \/registry /);
		});

		test("an answer of any class that HTTP has comes as it is, and none is followed", async () => {
			const raw = await open();
			for (const [status, headers] of [
				[204, []],
				[206, ["content-range: bytes 0-0/2"]],
				[307, [`location: ${origin.url}/elsewhere`]],
				[304, []],
				[404, []],
				[503, ["retry-after: 7"]],
			]) {
				const bare = status === 204 || status === 304;
				answering = () =>
					bare
						? `HTTP/1.1 ${status} Whatever\r\nx-kept: yes\r\n\r\n`
						: answer(status, ["x-kept: yes", ...headers], "kept");
				raw.send(head("GET", "/registry"));
				const reply = await raw.answer();
				assert.deepEqual([reply.status, reply.headers["x-kept"], reply.body], [status, "yes", bare ? "" : "kept"]);
			}
			assert.equal(origin.requests.length, 6);
		});

		test("what the origin says before its answer is passed by", async () => {
			const raw = await open();
			const early = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n";
			answering = () => `${early}HTTP/1.1 102 Processing\r\n\r\n${early}${plain()}`;
			for (const [method, path, body] of [
				["GET", "/registry", ""],
				["POST", "/push", PUSHED],
			]) {
				raw.send(head(method, path, ...(body ? [length(body)] : [])), body);
				assert.equal((await raw.answer()).status, 200, path);
			}
			answering = () =>
				`${early}HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3;x=y\r\ndef\r\n0\r\nx-late: 1\r\n\r\n`;
			for (const _ of range(2)) {
				raw.send(head("GET", "/registry"));
				assert.equal((await raw.answer()).body, "abcdef");
			}
			const packed = gzipSync("abcdef");
			answering = () =>
				Buffer.concat([
					Buffer.from(`${early}HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${packed.length}\r\n\r\n`),
					packed,
				]);
			raw.send(head("GET", "/registry", "accept-encoding: gzip"));
			const coded = await raw.answer();
			const isCoded = coded.headers["content-encoding"] === "gzip";
			const text = isCoded ? gunzipSync(Buffer.from(coded.body, "latin1")).toString() : coded.body;
			assert.equal(text, "abcdef");
			answering = ({ start }) => early + answer(200, [], start.startsWith("HEAD") ? "" : start);
			for (const path of ["/of-one", "/of-another", "/of-a-third"]) {
				raw.send(head("HEAD", path));
				assert.equal((await raw.answer({ isHead: true })).status, 200);
				raw.send(head("GET", path));
				assert.match((await raw.answer()).body, new RegExp(path), "nobody gets another's answer");
			}
			const features = JSON.stringify({ features: ["stats:a"], entities: { driver_id: [1] } });
			const columns = [[1], ["x"]].map((values) => ({
				values,
				statuses: ["PRESENT"],
				event_timestamps: ["2026-11-30T00:00:00Z"],
			}));
			const found = JSON.stringify({ metadata: { feature_names: ["driver_id", "a"] }, results: columns });
			answering = () => `${early}${answer(200, ["content-type: application/json"], found)}`;
			raw.send(head("POST", "/get-online-features", length(features)), features);
			assert.equal((await raw.answer()).status, 200);
		});

		test("what the origin answers is kept by nobody, and acts as no page of ours", async () => {
			const own = [
				"cache-control: public, max-age=60",
				"content-security-policy: default-src *",
				"content-type: text/html",
			];
			answering = () => answer(200, own, "<script>alert(1)</script>");
			const raw = await open();
			for (const [method, path, body] of [
				["GET", "/ui", ""],
				["POST", "/push", PUSHED],
			]) {
				raw.send(head(method, path, length(body)), body);
				const { headers } = await raw.answer();
				assert.equal(headers["cache-control"], "no-store");
				assert.equal(headers["content-security-policy"], "sandbox");
				assert.equal(headers["x-content-type-options"], "nosniff");
				assert.equal(headers["content-type"], "text/html");
			}
		});

		test("no report, and no problem, is kept", async () => {
			const raw = await open();
			for (const [method, path] of [
				["GET", "/health"],
				["GET", "/v1/stats"],
				["GET", "/v1/sla"],
				["GET", "/metrics"],
				["POST", "/v1/invalidate"],
				["POST", "/get-online-features"],
				["POST", "/v1/features"],
			]) {
				raw.send(head(method, path, length("{")), "{");
				const { headers } = await raw.answer();
				assert.equal(headers["cache-control"], "no-store", path);
			}
		});

		test("the origin gets the host name that its client uses, and no response leads to its own", async () => {
			const raw = await open();
			for (const [location, mapped] of [
				[`${origin.url}/elsewhere?a=b`, "/elsewhere?a=b"],
				["/elsewhere", "/elsewhere"],
				["elsewhere", "/deep/elsewhere"],
				["../..", "/"],
				[origin.url, "/"],
				["https://id.example.com/login", "https://id.example.com/login"],
				["http://features.example.com/x", "http://features.example.com/x"],
				[`${origin.url}//evil.example/x`, "/evil.example/x"],
				[`${origin.url}/.//evil.example/x`, "/evil.example/x"],
				[`${origin.url}/\\evil.example`, "/evil.example"],
				[origin.url.replace("http:", "https:"), undefined],
				["https://127.0.0.1/x", undefined],
			]) {
				answering = () => answer(307, [`location: ${location}`], "");
				raw.send(head("GET", "/deep/registry"));
				assert.equal((await raw.answer()).headers.location, mapped, location);
			}
			const [{ headers }] = origin.requests;
			assert.equal(headers["x-forwarded-host"], "features.example.com");
			assert.equal(headers["x-forwarded-proto"], "http");
			assert.match(headers.forwarded, /^host="features\.example\.com";proto=http(;for="127\.0\.0\.1")?$/);
			origin.requests.length = 0;
			raw.send(head("GET", "/registry", "x-forwarded-proto: https", "forwarded: for=10.0.0.1;proto=https"));
			await raw.answer();
			assert.equal(origin.requests[0].headers["x-forwarded-proto"], "https");
			assert.match(
				origin.requests[0].headers.forwarded,
				/^for=10\.0\.0\.1;proto=https, host="features\.example\.com";proto=https/,
			);
		});

		test("where ids are private, no word of the origin's errors comes through", async () => {
			const key = Buffer.alloc(32, 7).toString("base64");
			const secrets = {
				FEATHEREDGE_STORE_ENCRYPTION_KEYS: JSON.stringify({ current: "k", keys: { k: key }, hmac_secret: key }),
			};
			const own = await start({
				origin,
				secrets,
				vars: { pseudonymize_keys: true, auth: { anonymous_scopes: ["read", "write"] } },
			});
			const raw = await openRaw(own.port);
			try {
				for (const [method, path] of [
					["GET", "/registry"],
					["POST", "/push"],
					["POST", "/retrieve-online-documents"],
				]) {
					answering = () => answer(307, ["x-quote: driver 1001", "location: /driver/1001"], "driver 1001");
					raw.send(head(method, path, length(method === "GET" ? "" : PUSHED)), method === "GET" ? "" : PUSHED);
					const redirected = await raw.answer();
					assert.equal(redirected.status, 307);
					assert.doesNotMatch(JSON.stringify(redirected.headers) + redirected.body, /1001/);
					answering = () => answer(429, ["x-quote: driver 1001", "retry-after: 7"], "there is no driver 1001");
					raw.send(head(method, path, length(method === "GET" ? "" : PUSHED)), method === "GET" ? "" : PUSHED);
					const { status, headers, body } = await raw.answer();
					assert.deepEqual([status, headers["retry-after"]], [429, "7"]);
					assert.match(body, /pseudonymize_keys/);
					assert.doesNotMatch(JSON.stringify(headers) + body, /1001/);
				}
			} finally {
				raw.close();
				await own.stop();
			}
		});

		describe("an origin that hangs", () => {
			const DEADLINE_MS = 300;
			let own;
			let raw;
			before(async () => {
				const vars = {
					auth: { anonymous_scopes: ["read", "write"] },
					deadlines: { default_ms: DEADLINE_MS },
					origin: { timeout_ms: 60_000 },
				};
				own = await start({ origin, operatorToken: OPERATOR, vars });
			});
			beforeEach(async () => {
				raw = await openRaw(own.port);
				opened.push(raw);
			});
			after(async () => {
				// What was answered too late is waited for still.
				origin.hangUp();
				await own?.stop();
			});
			const UNKNOWN = JSON.stringify({ features: ["stats:a"], entities: { driver_id: [1] }, unheard_of: 1 });
			const FEATURES = JSON.stringify({ features: ["stats:a"], entities: { driver_id: [1] } });

			for (const [name, method, path, body, ...more] of [
				["a field that is not known", "POST", "/get-online-features", UNKNOWN],
				["credentials of the caller's", "POST", "/get-online-features", FEATURES, "authorization: Bearer of-somebody"],
				["a path that is not known", "GET", "/registry", ""],
				["a search", "POST", "/retrieve-online-documents", "{}"],
				["a write", "POST", "/push", PUSHED],
				["a write by a path that is not known", "DELETE", "/registry/x", "", `authorization: Bearer ${OPERATOR}`],
			]) {
				test(`${name}: ends by the deadline`, async () => {
					answering = () => "";
					const began = performance.now();
					raw.send(head(method, path, ...(body ? [length(body)] : []), ...more), body);
					const { status, headers, body: problem } = await raw.answer();
					assert.equal(status, 504);
					assert.equal(headers["content-type"], "application/problem+json");
					assert.match(problem, /in time/);
					const waited = performance.now() - began;
					assert.ok(waited >= DEADLINE_MS - 50 && waited < DEADLINE_MS + 2_000, `${waited} ms`);
					answering = plain;
					raw.send(head("GET", "/registry"));
					assert.equal((await raw.answer()).status, 200, "the connection goes on");
				});
			}

			for (const [name, method, path, body] of [
				["what is read", "GET", "/registry", ""],
				["what a write is answered", "POST", "/push", PUSHED],
			]) {
				test(`in the middle of ${name}: the answer breaks off by the deadline`, async () => {
					answering = () => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
					raw.send(head(method, path, ...(body ? [length(body)] : [])), body);
					// workerd ends the chunks of a body that breaks off as if it were whole, and then the connection.
					if (saysContinue) await assert.rejects(raw.answer(), /the connection has ended/);
					else await once(raw.socket, "close");
				});
			}

			test("an answer to a write that comes too late for its caller counts as of the time when it came", async () => {
				const read = async () => {
					raw.send(head("POST", "/get-online-features", length(FEATURES)), FEATURES);
					return JSON.parse((await raw.answer()).body).results[1].values[0];
				};
				let value = 1;
				const features = () =>
					answer(
						200,
						["content-type: application/json"],
						JSON.stringify({
							metadata: { feature_names: ["driver_id", "a"] },
							results: [1, value].map((one) => ({
								values: [one],
								statuses: ["PRESENT"],
								event_timestamps: ["2026-11-30T00:00:00Z"],
							})),
						}),
					);
				let end;
				const late = new Promise((resolve) => {
					end = () => resolve(plain());
				});
				answering = (request) => (request.start.startsWith("POST /push") ? late : features());
				raw.send(head("POST", "/push", length(PUSHED)), PUSHED);
				assert.equal((await raw.answer()).status, 504);
				assert.equal(await read(), 1);
				value = 2;
				assert.equal(await read(), 1, "from memory");
				end();
				await until(async () => (await read()) === 2);
			});
		});

		test("an answer of Feast's that has no column comes as it is, after one question, and is not kept", async () => {
			// An entity that no test before has left in memory.
			const asked = JSON.stringify({ features: ["stats:a"], entities: { driver_id: [77] } });
			const native = JSON.stringify({ feature_names: ["stats:a"], entity_ids: [77] });
			const raw = await open();
			const ask = async (path, body) => {
				raw.send(head("POST", path, length(body)), body);
				return raw.answer();
			};
			for (const empty of ['{"results":[]}', '{"metadata":{"feature_names":[]},"results":[]}']) {
				answering = () => answer(200, ["content-type: application/json"], empty);
				for (const asks of [1, 2]) {
					const { status, body } = await ask("/get-online-features", asked);
					assert.deepEqual([status, body], [200, '{"results":[]}']);
					assert.equal(origin.requests.length, asks);
				}
				const refused = await ask("/v1/features", native);
				assert.equal(refused.status, 502);
				assert.match(refused.body, /no columns/);
				origin.requests.length = 0;
			}
			const value = { values: [7], statuses: ["PRESENT"], event_timestamps: ["2026-01-01T00:00:00Z"] };
			const whole = { metadata: { feature_names: ["driver_id", "a"] }, results: [{ ...value, values: [77] }, value] };
			answering = () => answer(200, ["content-type: application/json"], JSON.stringify(whole));
			assert.match((await ask("/get-online-features", asked)).body, /\[7\]/);
			await ask("/get-online-features", asked);
			assert.equal(origin.requests.length, 1, "what came after is kept");
		});

		test("parts of a body that is passed on go as they come, both ways", async () => {
			const raw = await open();
			raw.send(head("PUT", "/registry", "transfer-encoding: chunked", `authorization: Bearer ${OPERATOR}`));
			raw.socket.write("a\r\nfirst part\r\n");
			await until(() => origin.lastBytes().includes("first part"));
			raw.socket.write("3\r\nend\r\n0\r\n\r\n");
			assert.equal((await raw.answer()).status, 200);
			assert.equal(origin.requests[0].body, "first partend");
			let end;
			answering = (_, socket) => {
				end = () => socket.write("3\r\nend\r\n0\r\n\r\n");
				return "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nfirst part\r\n";
			};
			raw.send(head("GET", "/registry"));
			let text = "";
			raw.socket.on("data", (bytes) => {
				text += bytes;
			});
			await until(() => text.includes("first part"));
			end();
			assert.equal((await raw.answer()).body, "first partend");
		});
	});
}
