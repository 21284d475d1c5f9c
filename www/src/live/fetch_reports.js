// Fetches the reports, and says in plain words why one is not there and what to do.

import { credentials, needsToken, tokenHelp } from "../token.js";

const PATHS = ["/v1/stats", "/v1/sla", "/v1/alerts"];
const TIMEOUT_MS = 10_000;

/** The reports could not be fetched. */
export class ReportError extends Error {
	/**
	 * @param {string} title
	 * @param {string[]} lines why, and what to do
	 * @param {object} [more]
	 * @param {number} [more.status] of an error response
	 * @param {string} [more.problem] the name of its problem type
	 * @param {number} [more.retryAfterMs] how long the server asks to wait
	 */
	constructor(title, lines, { status, problem, retryAfterMs } = {}) {
		super(title);
		this.lines = lines;
		this.status = status;
		this.problem = problem;
		this.retryAfterMs = retryAfterMs;
	}
}

/**
 * The three reports of a scope.
 *
 * @param {string} scope
 * @throws {ReportError}
 */
export async function fetchReports(scope) {
	// All are waited for, so that no request of this attempt is left when the next begins.
	const reports = await Promise.allSettled(PATHS.map((path) => fetchReport(path, scope)));
	const failed = reports.find(({ status }) => status === "rejected");
	if (failed) throw failed.reason;
	return reports.map(({ value }) => value);
}

async function fetchReport(path, scope) {
	let response;
	let text;
	try {
		response = await fetch(`${path}?scope=${scope}`, {
			cache: "no-store",
			headers: credentials(),
			signal: AbortSignal.timeout(TIMEOUT_MS),
		});
		text = await response.text();
	} catch (error) {
		if (error.name === "TimeoutError") {
			throw new ReportError("The Worker did not respond", [`${path} took longer than ${TIMEOUT_MS / 1000} seconds.`]);
		}
		throw new ReportError("The Worker could not be reached", ["Check that it runs, and that this device is online."]);
	}
	const body = parsed(text);
	if (response.ok && body !== undefined) return body;
	throw explained(path, response, body);
}

/** The JSON object of a text, if it is one. */
function parsed(text) {
	try {
		const value = JSON.parse(text);
		return typeof value === "object" && value !== null ? value : undefined;
	} catch {
		return undefined;
	}
}

function explained(path, response, body) {
	const { status } = response;
	const problem = body?.type?.split(":").at(-1);
	const seconds = Number(response.headers.get("retry-after"));
	const retryAfterMs = seconds > 0 ? seconds * 1000 : undefined;
	const because = (title, ...lines) => new ReportError(title, lines, { status, problem, retryAfterMs });
	const detail = typeof body?.detail === "string" ? `${body.detail}.` : "";
	if (problem === "not-aggregated") {
		return because(
			"Figures of all isolates are not available here",
			"They need a Worker with telemetry.aggregate = true and the Durable Object of the binding WINDOWS, which adds up what the isolates measure.",
			"A server started with npx featheredge serve, or with the npm package, is one process: the isolate’s own figures are all that it has.",
		);
	}
	if (problem === "telemetry-unavailable") {
		return because(
			"Nothing is measured yet",
			"The first request starts the measurement, unless telemetry.enabled is false.",
		);
	}
	if (needsToken(status)) return because(...tokenHelp(status, body?.detail ?? ""));
	if (body === undefined) {
		const kind = response.headers.get("content-type")?.split(";")[0] || "no content type";
		return because(
			`${path} answered with status ${status} and no report (${kind})`,
			"Something other than Featheredge responded, such as a proxy, a login page or a server of static files.",
		);
	}
	if (status === 404) {
		return because(
			"There are no reports here",
			`${path} does not exist. This server is not Featheredge, or serves it below another path.`,
		);
	}
	if (status === 429) return because("The server limits this page’s requests", detail);
	return because(`The server could not make the report: status ${status}`, detail);
}
