"""What makes a result live: jobs, transport, colour tables, static export. Knows no attribution method."""
