"""From a posted process graph to a plan: parse, check, normalise, what to read. PURE."""
