// The browser and its machine, for a run's record.

/** The browser's name and version. */
function browser() {
	const agent = navigator.userAgent;
	const known = [/(Firefox)\/([\d.]+)/, /(Edg)\/([\d.]+)/, /(Chrome)\/([\d.]+)/, /Version\/([\d.]+).*(Safari)/];
	for (const pattern of known) {
		const match = agent.match(pattern);
		if (match)
			return match
				.slice(1)
				.sort((left) => (/^\d/.test(left) ? 1 : -1))
				.join(" ");
	}
	return agent;
}

export function machine() {
	const platform = navigator.userAgentData?.platform ?? navigator.platform;
	return { host: browser(), machine: platform, cores: navigator.hardwareConcurrency ?? 0 };
}
