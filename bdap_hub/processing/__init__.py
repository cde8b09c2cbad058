"""openEO process graphs ──> plan (pure) ──> reader and kernels ──> tiles, values, histograms."""
