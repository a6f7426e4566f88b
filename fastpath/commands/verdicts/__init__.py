"""Judge one golden case on one engine: what differs from the record, and how the rest agrees."""
