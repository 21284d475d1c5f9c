// Loaded into a process before all else (`node --import`): its clock on the wall is as far off as its parent says by a message, and can
// be set anew at any time. What counts elapsed time (`performance.now`, timers) runs on, as it does where a machine's clock is set.

const WallDate = Date;
let offset = Number(process.env.CHECKER_CLOCK_OFFSET ?? 0);

const now = () => WallDate.now() + offset;

globalThis.Date = class extends WallDate {
	constructor(...args) {
		super(...(args.length > 0 ? args : [now()]));
	}

	static now() {
		return now();
	}
};

process.on("message", ({ clock }) => {
	offset = clock;
	process.send({ clock });
});
// Who waits for nothing else may end.
process.channel?.unref();
