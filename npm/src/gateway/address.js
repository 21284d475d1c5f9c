// Where a caller comes from, as far as it can be told apart from others.

/**
 * The network that a caller has for itself: an IPv4 address, be it written as one of IPv6, or the first 64 bits of one of IPv6, whose rest
 * anybody chooses anew (RFC 4291, 2.5.4).
 *
 * @param {string} address
 */
export function networkOf(address) {
	const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
	if (mapped !== null) return mapped[1];
	if (!address.includes(":")) return address;
	const [head, tail] = address.split("%")[0].split("::");
	const groups = (text) => (text ? text.split(":") : []);
	const [first, last] = [groups(head), groups(tail)];
	const all = [...first, ...Array(Math.max(8 - first.length - last.length, 0)).fill("0"), ...last];
	return `${all
		.slice(0, 4)
		.map((group) => Number.parseInt(group, 16).toString(16))
		.join(":")}::/64`;
}
