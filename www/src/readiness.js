// Shows whether the Worker can serve, by `GET /ready`.

/** @param {HTMLElement} element */
export async function showReadiness(element) {
	const [state, text] = await readiness();
	element.dataset.state = state;
	element.textContent = text;
}

/** @returns {Promise<[string, string]>} */
async function readiness() {
	let response;
	try {
		response = await fetch("/ready", { headers: { accept: "application/json" }, signal: AbortSignal.timeout(10_000) });
	} catch {
		return ["down", "Unreachable"];
	}
	if (response.ok) return ["ready", "Ready"];
	const problem = await response.json().catch(() => ({}));
	return ["down", `Not ready: ${problem.detail ?? `status ${response.status}`}`];
}
