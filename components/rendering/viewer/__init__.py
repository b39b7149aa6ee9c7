"""The viewer of motions: one HTML file that opens from disk."""
