// Requests of commands to a Featheredge server.

import { EXIT, Failure } from "./failure.js";

/** An error response of a server. */
export class ServerError extends Failure {
	constructor(url, status, problem, detail) {
		super(`${url} answered ${status}: ${detail}`, EXIT.refused);
		this.status = status;
		this.problem = problem;
	}
}

/** Sends a request to a server, a POST if it has a body; resolves with the text of a successful response. */
export async function send(server, path, body) {
	const url = `${server.replace(/\/+$/, "")}${path}`;
	const token = process.env.FEATHEREDGE_OPERATOR_TOKEN;
	let response;
	try {
		response = await fetch(url, {
			method: body === undefined ? "GET" : "POST",
			headers: {
				...(body !== undefined && { "content-type": "application/json" }),
				...(token !== undefined && { authorization: `Bearer ${token}` }),
			},
			body,
		});
	} catch (error) {
		throw new Failure(`cannot reach ${url}: ${error.cause?.message || error.cause?.code || error.message}`);
	}
	const text = await response.text();
	if (response.ok) return text;
	let problem;
	try {
		problem = JSON.parse(text);
	} catch {
		// A proxy may respond in another format.
	}
	throw new ServerError(url, response.status, problem, problem?.detail ?? text);
}
