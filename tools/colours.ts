// SPDX-License-Identifier: GPL-2.0-only
/** Colours of what the commands print. */
import pc from "picocolors";

/**
 * Whether output is coloured: on a terminal, or when FORCE_COLOR asks for it; never with NO_COLOR (https://no-color.org).
 * picocolors also paints wherever CI is set, where scripts read the lines.
 */
export function wantsColours(env: NodeJS.ProcessEnv, isTTY: boolean): boolean {
	if (env.NO_COLOR) return false;
	if (env.FORCE_COLOR) return env.FORCE_COLOR !== "0";
	return isTTY && env.TERM !== "dumb";
}

/** picocolors' functions, coloured as standard output is. */
export const colours = pc.createColors(wantsColours(process.env, process.stdout.isTTY === true));
