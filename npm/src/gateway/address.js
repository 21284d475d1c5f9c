// The network that a caller's address belongs to, for rate limits.

/**
 * The smallest network that a caller cannot choose: an IPv4 address, also when it is mapped to IPv6, or the first 64 bits of an IPv6 address,
 * whose rest its holder may change at will (RFC 4291, 2.5.4).
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
