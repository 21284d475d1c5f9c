// Shows whether the Worker can serve, by `GET /ready`: at first, and whenever this device goes offline or online.

/** @param {HTMLElement} element */
export function showReadiness(element) {
	const show = async () => {
		const [state, text] = await readiness();
		element.dataset.state = state;
		element.textContent = text;
	};
	for (const event of ["online", "offline"]) addEventListener(event, show);
	show();
}

/** @returns {Promise<[string, string]>} */
async function readiness() {
	let response;
	try {
		response = await fetch("/ready", { headers: { accept: "application/json" }, signal: AbortSignal.timeout(10_000) });
	} catch {
		return ["down", navigator.onLine ? "Unreachable" : "Offline"];
	}
	if (response.ok) return ["ready", "Ready"];
	const problem = await response.json().catch(() => ({}));
	return ["down", `Not ready: ${problem.detail ?? `status ${response.status}`}`];
}
