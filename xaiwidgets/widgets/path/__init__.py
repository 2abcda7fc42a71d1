"""The parts of PathExplorer: what may be asked, what it is about, what was computed, and how it is said."""
