// SPDX-License-Identifier: GPL-2.0-only
import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		include: ["**/*.test.ts"],
		exclude: ["node_modules/**", ".cache/**"],
		pool: "forks",
		testTimeout: 60_000,
	},
});
