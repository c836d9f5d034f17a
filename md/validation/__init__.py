"""Whether a potential can be trusted: properties of every stratum beside a reference."""
