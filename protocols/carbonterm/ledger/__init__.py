"""The signed log: entries, the Merkle tree over them, checkpoints, segments, bundles (docs/formats.md)."""
